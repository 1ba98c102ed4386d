# An output of a P2P shuffle that starts elsewhere is bound to the worker of its partition and gives itself back; outputs are never
# queued; when nobody needs the barrier any more, the shuffle ends, and with it the binding.
worker a
worker b
client c
graph c wants o-{0..9}: t-0; t-1; shuffle-barrier-s <- t-0 t-1 barrier; o-{0..9} <- shuffle-barrier-s
expect compute t-0 on a
expect compute t-1 on b
finished t-0 on a nbytes=100
finished t-1 on b nbytes=1
expect compute shuffle-barrier-s on a where t-0=a t-1=b
finished shuffle-barrier-s on a nbytes=8
expect compute o-{0..9} on any
expect queue = nothing
expect free t-0 on a
expect free t-1 on b
expect no barrier-stopped
bound o-0 on b
bound o-0 on a
rescheduled o-0 on a
expect free o-0 on a
expect compute o-0 on b
finished o-0 on b
expect in-memory o-0 for c
