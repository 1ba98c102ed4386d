# Data that a client brought cannot be computed again: it is gone, with all that needs it and is not there yet.
worker a
worker b
client c
scatter d on a for c
graph c wants z: y <- d; z <- y
expect compute y on a where d=a
lost a
expect cancelled d for c saying already forgotten
expect cancelled z for c saying already forgotten
expect tasks = 0
