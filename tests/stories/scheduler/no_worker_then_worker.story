# Without workers everything waits; the first one that comes takes it by priority.
client c
graph c wants z: x; y priority=5; z <- x y
expect nothing
worker a nthreads=2
expect compute y on a
expect compute x on a
lost a
expect nothing
worker b nthreads=2
expect compute y on b
expect compute x on b
