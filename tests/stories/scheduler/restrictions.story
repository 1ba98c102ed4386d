# A task that may only run on certain workers waits for them, by address, name or host.
worker a
worker b host=10.0.0.2
client c
submit c: x workers=b
expect compute x on b
submit c: y workers=10.0.0.2
expect compute y on b
submit c: z workers=tcp://127.0.0.1:a
expect compute z on a
submit c: nowhere workers=nobody
expect no compute
expect state nowhere = no-worker
worker other
expect no compute
worker nobody
expect compute nowhere on nobody
