# Both sides of a diamond run beside each other; the top is freed only when both are through.
worker a nthreads=2
client c
graph c wants d: a; b <- a; c <- a; d <- b c
expect compute a on a
finished a on a
expect compute b on a where a=a
expect compute c on a where a=a
finished c on a
expect no free
expect state a = memory
finished b on a
expect compute d on a where b=a c=a
expect free a on a
finished d on a
expect in-memory d for c
expect free b on a
expect free c on a
