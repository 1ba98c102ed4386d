# The answer to a steal request comes when nothing can be moved any more.
set unknown-task-duration 10
worker a
client c
submit c: p; q; r; s
expect compute p on a
expect compute q on a
expect compute r on a
expect compute s on a
worker b
# The task is done.
steal
expect steal s on a
finished s on a
expect in-memory s for c
answered s on a memory
expect nothing
# The thief is gone: the task is placed again.
steal
expect steal r on a
lost b
answered r on a ready
expect free r on a
expect compute r on a
# The victim does not know the task: it is placed again.
worker d
steal
expect steal r on a
answered r on a
expect free r on a
expect compute r on d
# Another request has been answered in the meantime: the old answer does not count.
answered q on a ready
expect nothing
