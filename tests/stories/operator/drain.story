# Fewer workers: the cheapest to empty is marked and the scheduler asked; once it is idle and the scheduler has said so again, it goes.
given cluster demo replicas=2
given runs demo-scheduler demo-default/{0..1}
given registered demo-default/0 bytes=1kB
given registered demo-default/1 bytes=5kB processing=1
scale demo-default 1
expect poll
expect no delete
answers
expect patch Deployment demo-default/0 saying retiring
expect ask demo-default/0 saying first
expect condition DaskWorkerGroup demo-default WorkersReady = True AllReady
expect no delete
plan
expect no ask
expect no delete
expect condition DaskWorkerGroup demo-default WorkersReady = True Draining
retired demo-default/0
expect no delete
expect no ask
expect poll
answers
expect ask demo-default/0 saying quiet
expect no delete
retired demo-default/0
expect delete Deployment demo-default/0 saying drained
expect workers demo-default = 1
expect field DaskWorkerGroup demo-default status.retiredOrdinals = 0
plan
expect condition DaskWorkerGroup demo-default WorkersReady = True AllReady
scale demo-default 2
expect apply Deployment demo-default/2
