# A task with retries is tried again, as often as the user said; then its error counts.
worker a
client c
submit c: x retries=2
expect compute x on a
erred x on a
expect free x on a
expect compute x on a
erred x on a
expect free x on a
expect compute x on a
expect retries x = 0
erred x on a saying boom three
expect erred x for c saying boom three
expect state x = erred
