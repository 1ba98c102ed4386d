# The inputs that only the second definition of a key has are not needed: they do not stay behind.
worker a
client c
submit c: y
expect compute y on a
graph c wants y: x; y <- x
expect warning Detected different `run_spec` for key 'y'
expect no compute
expect tasks = 1
release c: y
expect tasks = 0
