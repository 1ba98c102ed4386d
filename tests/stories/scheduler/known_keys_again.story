# Keys that are known already: in memory and failed ones are reported at once, running ones are awaited.
worker a
client c
client d
submit c: m; e; r
expect compute m on a
expect compute e on a
expect compute r on a
finished m on a
expect in-memory m for c
erred e on a saying boom
expect erred e for c saying boom
submit d: m; e; r
expect in-memory m for d
expect erred e for d saying boom
expect no compute
finished r on a
expect in-memory r for c
expect in-memory r for d
