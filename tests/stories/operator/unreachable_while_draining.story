# The scheduler goes away in the middle of a drain and comes back: the drain goes on. Gone for a minute: the worker goes.
given cluster demo replicas=2
given runs demo-scheduler demo-default/{0..1}
given registered demo-default/0 bytes=9kB
given registered demo-default/1 bytes=5kB
given answers
scale demo-default 1
expect ask demo-default/1 saying first
time 3
fails saying no route
expect no delete
expect condition DaskWorkerGroup demo-default WorkersReady = True DrainBlocked
time 30
restarted
registered demo-default/{0..1}
answers
expect ask demo-default/1 saying first
expect no delete
time 40
fails saying no route
time 99
fails saying no route
expect no delete
time 101
fails saying no route
expect delete Deployment demo-default/1 saying could not be reached
