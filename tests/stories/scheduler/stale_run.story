# A result of an earlier run on the same worker does not count: the task is run once more, and only the newest counts.
worker a
client c
submit c: x
expect compute x on a
rescheduled x on a
expect free x on a
expect compute x on a
finished x on a run=1
expect free x on a
expect compute x on a
expect state x = processing
finished x on a run=3
expect in-memory x for c
# The other ones come late.
finished x on a run=2
expect free x on a
expect state x = memory
