# The last copy is gone without a word of ours: the result is computed again, and running tasks that need it start over.
worker a
worker b
client c
submit c: x
expect compute x on a
finished x on a
submit c: y <- x
expect compute y on a
dropped x on a
expect free y on a
expect lost x for c
expect compute x on any
expect state y = waiting
