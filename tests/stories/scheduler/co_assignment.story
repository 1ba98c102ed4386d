# Without queuing, neighbours among root-ish tasks go to the same worker, so that what combines them finds them together.
set worker-saturation inf
worker a nthreads=1
worker b nthreads=1
client c
graph c wants s-{0..1}: x-{0..5}; s-0 <- x-{0..2}; s-1 <- x-{3..5}
expect compute x-{0..2} on a
expect compute x-{3..5} on b
expect queue = nothing
finished x-{0..2} on a
expect compute s-0 on a
