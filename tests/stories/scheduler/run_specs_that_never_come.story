# The graph helper dies on the way: what it did not deliver fails with the reason, what it delivered goes on.
worker a
client c
graph c late wants y z: x; y <- x; z
specs z
expect compute z on a
specs-failed x: the graph helper died
expect erred y for c saying the graph helper died
expect state x y = erred
expect state z = processing
finished z on a
expect in-memory z for c
# Trying again does not help: the run spec is still not there.
retry y
expect retried y for c
expect erred y for c saying the graph helper died
