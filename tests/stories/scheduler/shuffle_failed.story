# A task beside a P2P barrier fails: whoever looks after shuffles is told of the task that failed by itself, and that the barrier
# has stopped. A failed shuffle does not start over.
worker a
client c
graph c wants o: t; shuffle-barrier-s <- t barrier; o <- shuffle-barrier-s
expect compute t on a
erred t on a saying boom
expect shuffle-failed shuffle-barrier-s
expect barrier-stopped shuffle-barrier-s
expect barrier-stopped shuffle-barrier-s
expect erred o for c saying boom
shuffle-restarted shuffle-barrier-s
expect nothing
expect state o = erred
