# A task that fails does not need its inputs any more.
worker a
client c
graph c wants z: x; y; z <- x y
expect compute x on a
expect compute y on a
finished x on a
expect no free
finished y on a
expect compute z on a
erred z on a
expect free x on a
expect free y on a
expect erred z for c
