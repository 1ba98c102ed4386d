# What depends on a failed task fails with the same error; whoever wants any of it is told.
worker a
client c
client d
graph c wants z: x; y <- x; z <- y
expect compute x on a
submit d: w <- y
erred x on a saying boom
expect erred z for c saying boom
expect erred w for d saying boom
expect state x y z w = erred
# New work on top of it fails at once.
submit d: v <- z
expect erred v for d saying boom
# Unneeded failures are forgotten.
release c: z
release d: w v
expect tasks = 0
