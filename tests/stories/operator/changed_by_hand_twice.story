# A change to what is not ours is not undone, so that mending it does not raise the generation: the next change by hand is seen all the same.
given cluster demo replicas=1
given runs demo-scheduler demo-default/0
given edit Deployment demo-scheduler {"spec": {"minReadySeconds": 5}}
edit Deployment demo-scheduler {"spec": {"replicas": 0}}
expect apply Deployment demo-scheduler
expect event Restored demo-scheduler
expect field Deployment demo-scheduler spec.replicas = 1
given plan
edit Deployment demo-default/0 {"spec": {"minReadySeconds": 5}}
expect apply Deployment demo-default/0
expect event Restored demo-default/0
edit Deployment demo-default/0 {"spec": {"replicas": 0}}
expect apply Deployment demo-default/0
expect field Deployment demo-default/0 spec.replicas = 1
plan
expect apply Deployment demo-default/0
expect event Restored demo-default/0
plan
expect apply Deployment demo-default/0
plan
expect nothing
