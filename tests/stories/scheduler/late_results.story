# Results that nobody waits for any more are freed where they are.
worker a nthreads=1
worker b nthreads=1
client c
submit c: x
expect compute x on a
release c: x
expect free x on a
finished x on a
expect free x on a
expect tasks = 0

# Of a task that is queued again: it went back while it was still running there.
graph c wants q-{0..5}: q-{0..5}
expect compute q-0 on a
expect compute q-1 on b
expect compute q-2 on a
expect compute q-3 on b
pause a
rescheduled q-0 on a
expect free q-0 on a
expect queue = q-0 q-4 q-5
finished q-0 on a
expect free q-0 on a
expect queue = q-0 q-4 q-5
