# A graph that cannot be read: every key that was wanted of it fails, for all who want it.
worker a
client c
client d
submit d: y
expect compute y on a
reject c: x y
expect erred x for c saying rejected
expect erred y for c saying rejected
expect erred y for d saying rejected
expect state x = forgotten
