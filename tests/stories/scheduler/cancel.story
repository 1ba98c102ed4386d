# Cancelling a task cancels what its client wants of it, and tells all clients.
worker a
client c
submit c: x; y <- x
expect compute x on a
cancel c: x
expect cancelled y for all saying cancelled
expect cancelled x for all saying cancelled
expect free x on a
expect tasks = 0
