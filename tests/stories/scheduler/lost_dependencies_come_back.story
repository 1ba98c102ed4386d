# x was computed from data that is gone; a client submits all of it again: x can be computed again when it is lost.
worker a
worker b
client c
scatter d on b for c
expect in-memory d for c
submit c: x <- d workers=a
expect compute x on a
finished x on a
expect in-memory x for c
lost b
expect cancelled d for c
expect state x = memory
worker b
scatter d on b for c
expect in-memory d for c
submit c: x <- d workers=a
expect in-memory x for c
expect no warning
dropped x on a
expect lost x for c
expect compute x on a where d=b
