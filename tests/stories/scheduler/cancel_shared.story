# What two clients want cannot be cancelled by one of them: only its own wish ends.
worker a
client c
client d
submit c: x
expect compute x on a
submit d: x
cancel c: x
expect no cancelled
expect state x = processing
expect wants c = nothing
finished x on a
expect in-memory x for d
