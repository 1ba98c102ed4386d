# A task goes where its inputs are: the worker that has to fetch the fewest bytes.
worker a
worker b
client c
submit c: small; big
expect compute small on a
expect compute big on b
finished small on a nbytes=10
finished big on b nbytes=100MB
submit c: z <- small big
expect compute z on b where small=a big=b
