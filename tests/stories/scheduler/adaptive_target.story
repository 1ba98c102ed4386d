# How many workers would finish in time: queued and running work over the target, never more than there are tasks.
set unknown-task-duration 1
client c
expect target 1 = 0
graph c wants x-{0..9}: x-{0..9}
expect target 1 = 10
expect target 5 = 2
expect target 100 = 1
worker a nthreads=2
expect target 5 = 1
expect target 1 = 5
# All work is in the hands of the worker: it stays.
release c: x-{0..9}
expect target 1 = 0
