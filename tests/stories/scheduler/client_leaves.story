# A client that leaves lets go of everything, but what another one wants stays.
worker a
client c
client d
submit c: x; y <- x
expect compute x on a
submit d: x
finished x on a
expect in-memory x for c
expect in-memory x for d
expect compute y on a
leave c
expect free y on a
expect state x = memory
expect state y = forgotten
leave d
expect free x on a
expect tasks = 0
