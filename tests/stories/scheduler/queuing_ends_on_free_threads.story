# The last long tasks of a queue wait for a thread that is free: the worker that reports first does not take them all.
set default-task-duration:x 0.5
worker a nthreads=1
worker b nthreads=1
client c
graph c wants x-{0..5}: x-{0..5}
expect compute x-0 on a
expect compute x-1 on b
expect compute x-2 on a
expect compute x-3 on b
expect queue = x-4 x-5
finished x-0 on a duration=0.5
expect queue = x-4 x-5
finished x-2 on a duration=0.5
expect compute x-4 on a
expect queue = x-5
finished x-1 on b duration=0.5
expect queue = x-5
finished x-3 on b duration=0.5
expect compute x-5 on b
expect queue = nothing
