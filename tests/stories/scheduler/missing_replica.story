# Someone could not fetch a copy that we believed in: we stop believing, and the worker frees what it may have.
worker a
worker b
client c
submit c: x
expect compute x on a
finished x on a
added b: x
missing x on a
expect free x on a
expect holders x = b
missing x on b
expect free x on b
expect lost x for c
expect compute x on any
