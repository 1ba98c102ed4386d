# A P2P shuffle starts over: its inputs run again, then the barrier, then the outputs. On its way the barrier is released twice.
worker a
worker b
client c
graph c wants o-{0,1}: t-{0,1}; shuffle-barrier-s <- t-{0,1} barrier; o-{0,1} <- shuffle-barrier-s
expect compute t-0 on a
expect compute t-1 on b
finished t-0 on a nbytes=100
finished t-1 on b nbytes=1
expect compute shuffle-barrier-s on a
finished shuffle-barrier-s on a
expect compute o-0 on any
expect compute o-1 on any
bound o-0 on b
shuffle-restarted shuffle-barrier-s
expect barrier-stopped shuffle-barrier-s
expect barrier-stopped shuffle-barrier-s
expect compute t-0 on any
expect compute t-1 on any
expect state shuffle-barrier-s = waiting
expect state o-{0,1} = waiting
shuffle-ended shuffle-barrier-s
expect nothing
