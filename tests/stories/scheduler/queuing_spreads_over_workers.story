# Queued tasks go to the worker with the fewest tasks per thread.
worker a nthreads=2
worker b nthreads=1
client c
graph c wants x-{0..8}: x-{0..8}
expect compute x-0 on a
expect compute x-1 on b
expect compute x-2 on a
expect compute x-3 on a
expect compute x-4 on b
expect queue = x-{5..8}
finished x-4 on b
expect compute x-5 on b
# A new worker takes what waits.
worker c nthreads=1
expect compute x-6 on c
expect compute x-7 on c
expect queue = x-8
