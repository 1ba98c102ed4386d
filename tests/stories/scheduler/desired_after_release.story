# A future comes back (from a variable, a queue, another client) after the result in the middle was released: it is computed again.
worker a
client c
client d
graph c wants y: x; y <- x
expect compute x on a
finished x on a
expect compute y on a
finished y on a
expect in-memory y for c
expect free x on a
desire d: x
expect compute x on a
finished x on a
expect in-memory x for d
desire d: y
expect in-memory y for d
