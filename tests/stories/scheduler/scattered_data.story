# Data that a client brought is known with its size; tasks run where it is; it is freed when it is released.
worker a
worker b
client c
scatter d on b nbytes=1kB for c
expect in-memory d for c
expect state d = memory
expect nbytes d = 1000
submit c: x <- d
expect compute x on b where d=b
release c: d
expect no free
finished x on b
expect in-memory x for c
expect free d on b
expect state d = forgotten
release c: x
expect free x on b
expect tasks = 0
