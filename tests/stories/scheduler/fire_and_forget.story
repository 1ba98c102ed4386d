# Nobody keeps a future, but the task is to run: it is kept until it has run, and forgotten then.
worker a
client c
submit c: x; y
expect compute x on a
expect compute y on a
desire fire-and-forget: x y
release c: x y
expect state x y = processing
finished x on a
expect free x on a
expect state x = forgotten
erred y on a
expect free y on a
expect state y = forgotten
expect tasks = 0
