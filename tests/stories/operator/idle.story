# A cluster that has been idle for idleTimeout is deleted; one that works again in between is not.
given cluster demo replicas=1 {"spec": {"idleTimeout": 60}}
given runs demo-scheduler demo-default/0
answers
expect no delete
expect no poll
time 16
expect poll
given answers idle-since=10
time 40
expect poll
given answers
time 80
expect poll
answers idle-since=30
expect no delete
time 90
expect poll
expect no delete
answers idle-since=30
expect event IdleTimeout demo saying idleTimeout is 60 s
expect delete DaskCluster demo
