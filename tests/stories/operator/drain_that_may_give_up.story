# spec.drain.onTimeout: Delete takes a worker with its data once its time is over.
given cluster demo replicas=2 {"spec": {"drain": {"timeoutSeconds": 30, "onTimeout": "Delete"}}}
given runs demo-scheduler demo-default/{0..1}
given registered demo-default/0 bytes=9kB
given registered demo-default/1 bytes=5kB
answers
scale demo-default 1
expect ask demo-default/1 saying first
expect event ScalingDown demo-default
given stays demo-default/1
time 29
expect no delete
given answers
time 30
expect event DrainSkipped demo-default saying did not move within 30 s
expect delete Deployment demo-default/1
