# Of a chain only the end is wanted: results in the middle are freed as soon as the next one is there.
worker a
client c
graph c wants z: x; y <- x; z <- y
expect compute x on a
finished x on a
expect compute y on a where x=a
expect no free
expect state x = memory
finished y on a
expect compute z on a where y=a
expect free x on a
expect state x = released
finished z on a
expect in-memory z for c
expect free y on a
expect state x y = released
release c: z
expect free z on a
expect tasks = 0
