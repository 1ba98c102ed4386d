# Fetching a little is cheaper than waiting for a busy worker.
set default-task-duration:slow 100
worker a
worker b
client c
submit c: x
expect compute x on a
finished x on a nbytes=100
submit c: slow workers=a
expect compute slow on a
submit c: y <- x
expect compute y on a
release c: y
submit c: p workers=b
expect compute p on b
finished p on b nbytes=100
# Now both workers hold an input: the one without the slow task is chosen.
submit c: z <- x p
expect compute z on b where x=a p=b
