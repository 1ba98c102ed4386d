# A task that has not started is given up to a thief; one that runs is not.
compute a
compute b
compute y where x=b
steal a
expect stolen a saying executing
steal b
expect stolen b saying ready
expect state b = forgotten
steal y
expect stolen y saying waiting
expect state x = cancelled(flight)
steal b
expect stolen b saying none
