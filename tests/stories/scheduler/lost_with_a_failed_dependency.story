# y was in memory when x, which it had been computed from, was lost and failed the second time. Now y is lost, too: it fails.
worker a
worker b
client c
submit c: x workers=a; y <- x workers=b
expect compute x on a
finished x on a
expect in-memory x for c
expect compute y on b
finished y on b
expect in-memory y for c
dropped x on a
expect lost x for c
expect compute x on a
erred x on a saying boom
expect erred x for c saying boom
expect state y = memory
dropped y on b
expect lost y for c
expect erred y for c saying boom
expect state y = erred
