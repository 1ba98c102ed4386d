# An actor's state dies with its worker: it is not made again, and whoever wants it is told.
worker a
worker b
client c
submit c: counter actor
expect compute counter on a
finished counter on a
expect in-memory counter for c
submit c: use <- counter
expect compute use on any where counter=a
lost a
expect erred counter for c saying Worker holding Actor was lost
expect erred use for c saying Worker holding Actor was lost
expect state counter use = erred
