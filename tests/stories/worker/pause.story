# A paused worker finishes what runs, and starts and fetches nothing.
compute a
compute b
pause
done a
expect finished a
expect nothing
compute c where z=c
expect no gather
unpause
expect gather z from c
expect state b = executing
expect state z = flight
