# A worker that still runs tasks when the scheduler has emptied it leaves results behind: it is asked again when it is idle.
given cluster demo replicas=2
given runs demo-scheduler demo-default/{0..1}
given registered demo-default/0 processing=2
given registered demo-default/1 bytes=5kB processing=1
given answers
scale demo-default 1
expect ask demo-default/0 saying first
retired demo-default/0
expect no ask
expect poll
time 1
answers
expect no ask
expect no poll
expect no delete
given registered demo-default/0 processing=0 bytes=10 status=closing_gracefully
time 2
expect poll
answers
expect ask demo-default/0 saying quiet
expect no delete
retired demo-default/0
expect delete Deployment demo-default/0
