# With worker-saturation 1.1 a worker with one thread gets two root-ish tasks; the rest waits here, by priority.
worker a nthreads=1
client c
graph c wants x-{0..4}: x-{0..3}; x-4 priority=1
expect compute x-4 on a
expect compute x-0 on a
expect queue = x-1 x-2 x-3
finished x-0 on a
expect compute x-1 on a
expect queue = x-2 x-3
erred x-4 on a
expect compute x-2 on a
# A new graph is younger: it waits behind the old one, unless the user says otherwise.
graph c wants x-{5..6}: x-5; x-6 priority=2
expect queue = x-3 x-5 x-6
finished x-1 on a
expect compute x-6 on a
finished x-2 on a
expect compute x-3 on a
finished x-6 on a
expect compute x-5 on a
expect queue = nothing
