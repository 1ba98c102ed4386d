# Seceded after its release: the scheduler hears of it when the task is wanted again.
compute a run=1
free a
seceded a
expect no long-running
expect state a = cancelled(long-running)
compute a run=2
expect long-running a run=2
