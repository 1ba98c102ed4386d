# A worker that announces a copy of something that is not in memory is told to drop it.
worker a
worker b
client c
submit c: x
expect compute x on a
added b: x y
expect remove-replica x on b
expect remove-replica y on b
finished x on a
expect in-memory x for c
added b: x
expect nothing
expect holders x = a b
