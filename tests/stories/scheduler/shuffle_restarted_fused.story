# The transfers of a P2P rechunk were fused into the tasks before them, and what the barrier waits for are aliases: when the shuffle starts
# over, the fused tasks run again too. Tasks whose names only resemble those of transfers keep their results.
worker a
worker b
client c
graph c wants o x (merge-transfer-s,0) (other-s,1): x; (merge-transfer-s,0) <- x; (transfer-s,0) <- (merge-transfer-s,0); (other-s,1) <- x; (transfer-s,1) <- (other-s,1); shuffle-barrier-s <- (transfer-s,0) (transfer-s,1) barrier; o <- shuffle-barrier-s
expect compute x on any
finished x on a nbytes=100
expect compute (merge-transfer-s,0) on a
expect compute (other-s,1) on a
finished (merge-transfer-s,0) on a
expect compute (transfer-s,0) on a
finished (other-s,1) on a
expect compute (transfer-s,1) on a
finished (transfer-s,0) on a
finished (transfer-s,1) on a
expect compute shuffle-barrier-s on a
shuffle-restarted shuffle-barrier-s
expect barrier-stopped shuffle-barrier-s
expect barrier-stopped shuffle-barrier-s
expect compute (merge-transfer-s,0) on any
expect compute (transfer-s,1) on any
expect compute (transfer-s,1) on any
expect state (other-s,1) = memory
expect state (transfer-s,0) shuffle-barrier-s o = waiting
