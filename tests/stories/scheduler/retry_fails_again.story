# The second try fails, too: the client hears of it again.
worker a
client c
submit c: x
expect compute x on a
erred x on a saying first
expect erred x for c saying first
retry x
expect free x on a
expect retried x for c
expect compute x on a
erred x on a saying second
expect erred x for c saying second
