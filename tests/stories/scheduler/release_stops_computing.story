# Work that nobody wants any more is taken back: what runs, what is queued, what waits.
worker a nthreads=1
client c
graph c wants s: x-{0..3}; s <- x-{0..3}
expect compute x-{0..1} on a
expect queue = x-2 x-3
expect state s = waiting
release c: s
expect free x-{0..1} on a
expect tasks = 0
