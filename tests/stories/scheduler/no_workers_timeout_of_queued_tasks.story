# Root-ish tasks that are queued without any worker fail after the time-out, too.
set no-workers-timeout 30
client c
graph c wants s: x-{0..9}; s <- x-{0..9}
time 2
expect queue = x-{0..9}
time 31
expect no erred
time 33
expect erred s for c saying NoWorkerError
expect queue = nothing
