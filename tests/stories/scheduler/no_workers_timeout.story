# Tasks that wait too long for a worker fail, and the reason tells which kind of worker was missing.
set no-workers-timeout 30
worker a
client c
submit c: x workers=nobody
expect no erred
time 10
expect no erred
submit c: y workers=a
lost a
expect state y = no-worker
time 20
expect no erred
time 32
expect erred x for c saying NoValidWorkerError: Attempted to run task 'x' but timed out after 30
expect state y = no-worker
time 41
expect erred y for c saying NoWorkerError: Attempted to run task 'y' but timed out after 30
