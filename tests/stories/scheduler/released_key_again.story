# A result that was released on the way is computed again when someone asks for it.
worker a
client c
graph c wants y: x; y <- x
expect compute x on a
finished x on a
expect compute y on a
finished y on a
expect free x on a
expect in-memory y for c
submit c: x
expect compute x on a
finished x on a
expect in-memory x for c
expect state y = memory
