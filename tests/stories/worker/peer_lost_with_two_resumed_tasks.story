# Two results are on their way from a peer; one is freed, the other is to be computed here. When the peer is gone, the end of the one
# does not take the other along, though the one once needed it.
compute z where a=b c=b
expect gather a c from b
compute y where c=b
free z y
compute c run=2 where a=b
free c
compute a run=3
expect state a = resumed(flight->waiting)
expect state c = cancelled(flight)
unreachable b
expect execute a run=3
expect state c = forgotten
