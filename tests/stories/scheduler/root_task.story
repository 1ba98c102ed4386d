# One task on one worker: it is computed, reported, and freed when its client lets go of it.
worker a
client c
submit c: x
expect compute x on a
expect state x = processing
expect processing a = x
finished x on a nbytes=8
expect in-memory x for c
expect state x = memory
expect has a = x
expect processing a = nothing
release c: x
expect free x on a
expect state x = forgotten
expect tasks = 0
