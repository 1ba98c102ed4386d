# Work of a worker that was told to go is not suspicious.
set allowed-failures 0
worker a
worker b
client c
submit c: x
expect compute x on a
lost a expected
expect compute x on b
expect suspicious x = 0
