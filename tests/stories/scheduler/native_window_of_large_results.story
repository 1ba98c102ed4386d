# The expected size of results bounds the window, too: short tasks that make much are not started far ahead of what consumes it.
set native-window-bytes 100000000
worker a native nthreads=1
client c
graph c native wants x-{0..19}: x-{0..19}
expect compute x-0 on a
expect compute x-1 on a
finished x-0 on a duration=0.000001 nbytes=40MB
# 40 MB are expected of each: x-1 and two more begin below 100 MB.
expect compute x-2 on a
expect compute x-3 on a
expect queue = x-{4..19}
