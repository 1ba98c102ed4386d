# With a batch size workers come in groups, a delay apart.
set worker-batch-size 2
set worker-batch-delay 5
given cluster demo replicas=3
expect workers demo-default = 0 1
plan
expect no apply
expect again
time 5
expect apply Deployment demo-default/2
