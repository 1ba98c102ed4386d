# A busy worker is asked for a task that it has not started; it goes to the idle one when the busy one gives it up.
set unknown-task-duration 10
worker a
client c
submit c: p; q; r; s
expect compute p on a
expect compute q on a
expect compute r on a
expect compute s on a
worker b
steal
expect steal s on a
expect no compute
answered s on a ready
expect compute s on b
expect processing a = p q r
expect processing b = s
# A task that has started in the meantime stays.
finished s on b
expect in-memory s for c
steal
expect steal r on a
answered r on a executing
expect processing a = p q r
expect processing b = nothing
