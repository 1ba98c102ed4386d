# A worker dies with a result, with data that cannot be made again, and while it computes an input for the last time: what needs the
# lost data is let go, and what needs the input fails, whichever of the two reasons to release their common input comes first.
set allowed-failures 0
worker a
client c
graph c wants z: x; y <- x; z <- y
expect compute x on a
finished x on a
expect compute y on a
finished y on a
expect compute z on a
finished z on a
scatter q on a for c
dropped x on a
dropped y on a
graph c wants v: x; y <- x; v <- y q
expect compute x on a
lost a
expect erred z for c
expect state y z = erred
