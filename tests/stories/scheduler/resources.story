# A task that needs a resource goes to a worker that offers enough of it.
worker a
worker b resources=GPU:1
client c
submit c: x resources=GPU:1
expect compute x on b
submit c: y resources=GPU:2
expect state y = no-worker
worker d resources=GPU:2
expect compute y on d
lost d
expect state y = no-worker
