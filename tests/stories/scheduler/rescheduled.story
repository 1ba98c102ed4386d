# A worker gives a task back: it is placed again.
worker a
worker b
client c
submit c: x
expect compute x on a
rescheduled x on a
expect free x on a
expect compute x on b
# Who does not run it cannot give it back.
rescheduled x on a
expect nothing
