# The same key with other inputs: the user is warned, and the first definition counts.
worker a
client c
submit c: x; y
expect compute x on a
expect compute y on a
submit c: y <- x
expect warning Detected different `run_spec` for key 'y' between two consecutive calls to `update_graph`
expect no compute
finished x on a
expect in-memory x for c
finished y on a
expect in-memory y for c
