# One group goes to nothing while another stays: its data moves there first.
given cluster demo replicas=1
given group extra replicas=1
expect field DaskWorkerGroup extra metadata.ownerReferences.0.kind = DaskCluster
runs demo-scheduler demo-default/0 extra/0
registered demo-default/0
registered extra/0 bytes=9kB
answers
scale extra 0
expect ask extra/0 saying first
expect no delete
