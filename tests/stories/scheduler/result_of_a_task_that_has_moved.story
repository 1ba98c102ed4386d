# Only the worker that the task is on now can finish it.
worker a
worker b
client c
submit c: x
expect compute x on a
rescheduled x on a
expect free x on a
expect compute x on b
finished x on a
expect free x on a
expect state x = processing
finished x on b
expect in-memory x for c
expect holders x = b
