# A cluster without any worker cannot keep data: scaling it to nothing asks nobody.
given cluster demo replicas=2
given runs demo-scheduler demo-default/{0..1}
given registered demo-default/{0..1} bytes=9kB
answers
scale demo-default 0
expect delete Deployment demo-default/{0..1} saying scaled to no workers
expect no ask
plan
expect condition DaskWorkerGroup demo-default WorkersReady = True AllReady
expect field DaskCluster demo status.replicas = 0
