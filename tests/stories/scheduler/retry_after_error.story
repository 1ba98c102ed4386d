# The user asks for failed tasks again: the one that failed runs first, then what depends on it.
worker a
client c
graph c wants z: x; y <- x; z <- y
expect compute x on a
erred x on a saying boom
expect erred z for c saying boom
retry z
expect free x on a
expect retried z for c
expect compute x on a
expect state y z = waiting
finished x on a
expect compute y on a
finished y on a
expect free x on a
expect compute z on a
finished z on a
expect free y on a
expect in-memory z for c
# Retrying what did not fail does nothing.
retry z
expect nothing
