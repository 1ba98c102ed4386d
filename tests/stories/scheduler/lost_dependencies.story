# A graph on top of a key that nobody knows is refused as a whole.
worker a
client c
submit c: y <- x
expect cancelled y for c saying lost dependencies
expect no compute
expect tasks = 0
# A known key that was wanted with it is let go.
submit c: k
expect compute k on a
submit c: k; z <- x
expect cancelled k for c saying lost dependencies
expect cancelled z for c saying lost dependencies
expect no compute
expect wants c = nothing
expect tasks = 0
