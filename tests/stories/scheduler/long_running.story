# A task that secedes keeps running, but its slot takes another one.
worker a nthreads=1
client c
graph c wants x-{0..3}: x-{0..3}
expect compute x-{0..1} on a
long-running x-0 on a duration=2
expect compute x-2 on a
expect long-running a = 1
expect processing a = x-0 x-1 x-2
# Said twice, or by a stale run, it changes nothing.
long-running x-0 on a
expect nothing
long-running x-1 on a run=9
expect nothing
finished x-0 on a
expect in-memory x-0 for c
expect long-running a = 0
expect no compute
finished x-1 on a
expect in-memory x-1 for c
expect compute x-3 on a
