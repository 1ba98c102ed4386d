# A task can be cancelled before it starts, and not after.
compute a
compute b
cancel a
expect state a = executing
cancel b
expect state b = forgotten
cancel b
expect nothing
