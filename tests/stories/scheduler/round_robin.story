# Tasks without inputs take turns over workers that have nothing to do.
worker a
worker b
worker c
client c
submit c: p
expect compute p on a
finished p on a
submit c: q
expect compute q on b
finished q on b
submit c: r
expect compute r on c
