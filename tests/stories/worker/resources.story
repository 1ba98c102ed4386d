# A task that needs a resource waits for it; one that needs none passes it.
set nthreads 3
set resources GPU:1
compute a resources=GPU:1
expect execute a
compute b resources=GPU:1
expect state b = constrained
expect available GPU = 0
compute c priority=1
expect execute c
failed a saying boom
expect execute b
