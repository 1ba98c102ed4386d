# With a second copy nothing has to be computed again.
worker a
worker b
client c
submit c: x
expect compute x on a
finished x on a
added b: x
expect holders x = a b
lost a
expect nothing
expect holders x = b
lost b
expect lost x for c
expect state x = queued
