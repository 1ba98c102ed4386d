# A running task that takes much longer than its siblings makes the estimate unknown again: twice what was seen.
set unknown-task-duration 1
worker a nthreads=1
client c
submit c: x-0
expect compute x-0 on a
finished x-0 on a duration=2
submit c: x-1
expect compute x-1 on a
expect target 1 = 1
graph c wants x-{2..5}: x-{2..5}
expect compute x-2 on a
expect target 4 = 3
heartbeat a executing=x-1:6
expect target 12 = 5
