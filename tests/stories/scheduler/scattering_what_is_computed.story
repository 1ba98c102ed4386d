# A client brings the value of a key that is being computed: the computation is stopped, and its inputs are not needed.
worker a
worker b
client c
graph c wants z: x; y <- x; z <- y
expect compute x on a
finished x on a
expect compute y on a
scatter y on b
expect free y on a
expect free x on a
expect compute z on b where y=b
expect state y = memory
finished z on b
expect in-memory z for c
expect free y on b
# The same for one that failed: what failed because of it has another chance.
graph c wants v: u workers=a; v <- u
expect compute u on a
erred u on a
expect erred v for c
scatter u on b for c
expect retried v for c
expect free u on a
expect in-memory u for c
expect compute v on b where u=b
