# x was moved from a to b while a was still finishing it, and is done on b; y is on a by now and fetches x. The late result of
# a must not be answered with free-keys: that would hit what a fetches. (a was told to free x when x was moved.)
worker a
worker b
client c
graph c wants y: x; y <- x workers=a
expect compute x on a
rescheduled x on a
expect free x on a
expect compute x on b
finished x on b
expect compute y on a where x=b
finished x on a
expect no free
expect holders x = b
