# A worker that dies while it computes gives its task to another one, and the task is suspicious once.
worker a nthreads=1
worker b nthreads=1
client c
submit c: x
expect compute x on a
lost a
expect compute x on b
expect suspicious x = 1
