# The only copy of a result is lost: it is computed again, and what it needs, too.
worker a
worker b
client c
graph c wants z: x; y <- x; z <- y
expect compute x on a
finished x on a
expect compute y on a where x=a
finished y on a
expect free x on a
expect compute z on a where y=a
lost a
expect compute x on b
expect state y z = waiting
expect no lost
finished x on b
expect compute y on b where x=b
finished y on b
expect free x on b
expect compute z on b where y=b
# The wanted result itself is lost: its client is told, and it is computed again.
finished z on b
expect free y on b
worker c
lost b
expect lost z for c
expect compute x on c
expect state y z = waiting
