# Data that nobody can take stays, with its worker; users are told, and the scheduler is asked again.
given cluster demo replicas=2
given runs demo-scheduler demo-default/{0..1}
given registered demo-default/0 bytes=9kB
given registered demo-default/1 bytes=5kB
answers
scale demo-default 1
expect ask demo-default/1 saying first
stays demo-default/1
expect no ask
expect no delete
expect condition DaskCluster demo Degraded = True DrainBlocked
expect condition DaskWorkerGroup demo-default WorkersReady = True DrainBlocked
time 5
answers
expect no ask
time 11
answers
expect ask demo-default/1 saying first
time 700
answers
expect no delete
