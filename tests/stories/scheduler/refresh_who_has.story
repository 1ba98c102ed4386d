# A worker that could not fetch asks where the data is now.
worker a
worker b
worker d
client c
submit c: x
expect compute x on a
finished x on a
added b: x
refresh d: x unknown
expect refresh x on d where x=a,b
expect free unknown on d
dropped x on a
refresh d: x
expect refresh x on d where x=b
