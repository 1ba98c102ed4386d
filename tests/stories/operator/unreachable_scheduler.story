# A scheduler that does not answer is waited for, but not for ever: after a minute workers go, the newest first.
given cluster demo replicas=3
given runs demo-scheduler demo-default/{0..2}
scale demo-default 1
expect poll
fails saying connection refused
expect no delete
expect no poll
time 6
expect poll
given fails saying connection refused
given time 54
given fails saying connection refused
time 61
expect no delete
expect poll
fails saying connection refused
expect delete Deployment demo-default/{1..2} saying could not be reached
expect event DrainSkipped demo-default saying connection refused
expect event ScalingDown demo-default
expect workers demo-default = 0
