# Work that a task submits runs before what its client queued earlier.
worker a nthreads=1
client c
client w
submit c: parent priority=1
expect compute parent on a
graph c wants x-{0..3}: x-{0..3}
expect compute x-{0..0} on a
expect queue = x-{1..3}
finished x-0 on a
expect compute x-1 on a
