# Native root tasks are bounded by expected time, not by number: once their duration is known, many tiny ones are sent at once.
set native-window-tasks 6
worker a native nthreads=1
client c
graph c native wants x-{0..19}: x-{0..19}
# How long they take is not known yet: Dask's window of 1.1 tasks per thread.
expect compute x-0 on a
expect compute x-1 on a
expect queue = x-{2..19}
finished x-0 on a duration=0.000001
expect compute x-{2..6} on a
expect queue = x-{7..19}
finished x-1 on a duration=0.000001
expect compute x-7 on a
