# y failed because of x; only x is still wanted. Retrying x does not run y.
worker a
client c
client d
submit c: x; y <- x
expect compute x on a
submit d: x
erred x on a
release c: y
retry x
expect compute x on a
finished x on a
expect no compute
