# Without any worker even a loose task waits; then the first worker of any name takes it.
client c
submit c: x workers=b allow_other_workers
expect state x = no-worker
worker a
expect compute x on a
