# Inputs that do not fit into the chosen worker are an error of the user's, not the worker's death.
worker a memory=1MiB
client c
submit c: x; y
expect compute x on a
expect compute y on a
finished x on a nbytes=1MiB
finished y on a nbytes=1MiB
submit c: z <- x y
expect error Task 'z' has 2.00 MiB worth of input dependencies, but worker tcp://127.0.0.1:a has memory_limit set to 1.00 MiB. It seems like you called client.compute() on a huge collection.
expect erred z for c saying MemoryError
expect state z = erred
expect no compute
