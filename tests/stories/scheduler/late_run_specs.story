# Tasks are placed before their run specs are there; each is sent when its run spec arrives.
worker a
worker b
client c
graph c late wants z: x; y; z <- x y
expect no compute
expect processing a = x
expect processing b = y
specs y
expect compute y on b
finished y on b
expect no compute
specs x z
expect compute x on a
finished x on a
expect compute z on any where x=a y=b

# A worker is lost while the run spec is still awaited: the task moves, and is sent to its new worker only.
release c: z
expect tasks = 0
graph c late wants w: w
expect processing b = w
lost b
expect no compute
expect processing a = w
specs w
expect compute w on a
