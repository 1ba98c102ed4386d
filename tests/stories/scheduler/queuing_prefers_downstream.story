# A slot that opens goes to the task downstream before the next root task: that is what keeps memory low.
worker a nthreads=1
client c
graph c wants y-{0..4}: x-{0..4}; y-{0..4} <- x-{0..4}
expect compute x-0 on a
expect compute x-1 on a
finished x-0 on a
expect compute y-0 on a where x-0=a
expect no in-memory
expect queue = x-2 x-3 x-4
finished x-1 on a
expect compute y-1 on a where x-1=a
expect queue = x-2 x-3 x-4
finished y-0 on a
expect in-memory y-0 for c
expect compute x-2 on a
