# A paused worker keeps its tasks and gets no new ones until it runs again.
worker a nthreads=1
client c
submit c: x
expect compute x on a
pause a
submit c: y
expect state y = no-worker
finished x on a
expect in-memory x for c
expect no compute
resume a
expect compute y on a
# Another worker is preferred to a paused one that holds the data.
pause a
worker b
submit c: z <- x
expect compute z on b where x=a
