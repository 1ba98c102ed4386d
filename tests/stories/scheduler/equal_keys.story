# 1 and 1.0 are the same key, as they are in Python; the first spelling stays.
worker a
client c
client d
submit c: 1
expect compute 1 on a
submit d: 1.0
expect no compute
expect key 1.0 = 1
finished 1.0 on a
expect in-memory 1 for c
expect in-memory 1 for d
submit c: (x,1)
expect compute (x,1) on a
submit d: (x,1.0)
expect no compute
release c: 1.0
expect state 1 = memory
release d: 1
expect free 1 on a
expect state 1.0 = forgotten
