# Native tasks that take long are queued as Python's are; so are Python's tasks on a native worker, however short.
worker a native nthreads=1
client c
graph c native wants x-{0..9}: x-{0..9}
expect compute x-0 on a
expect compute x-1 on a
finished x-0 on a duration=1
expect compute x-2 on a
finished x-1 on a duration=1
expect compute x-3 on a
expect queue = x-{4..9}
cancel c: x-{0..9}
expect no compute
graph c wants y-{0..9}: y-{0..9}
expect compute y-0 on a
expect compute y-1 on a
finished y-0 on a duration=0.000001
expect compute y-2 on a
expect queue = y-{3..9}
