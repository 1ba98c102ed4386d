# A task whose workers keep dying is given up after allowed-failures of them, with a reason that names the last one.
set allowed-failures 1
worker a
client c
graph c wants y: x; y <- x
expect compute x on a
lost a
expect suspicious x = 1
expect state x = queued
worker b
expect compute x on b
lost b
expect erred y for c saying KilledWorker: Attempted to run task 'x' on 2 different workers, but all those workers died while running it. The last worker that attempt to run the task was tcp://127.0.0.1:b.
expect state x y = erred
expect suspicious x = 2
