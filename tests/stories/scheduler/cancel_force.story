# With force it is cancelled for everyone.
worker a
client c
client d
submit c: x
expect compute x on a
submit d: x; y <- x
cancel c force: x
expect cancelled x for all
expect cancelled y for all
expect free x on a
expect tasks = 0
