# A worker that was lost may have held the copy that made the retiring one superfluous: its promise counts no more, the scheduler is asked again.
given cluster demo replicas=3
given runs demo-scheduler demo-default/{0..2}
given registered demo-default/0
given registered demo-default/1 bytes=5kB
given registered demo-default/2 bytes=5kB
given answers
scale demo-default 2
expect ask demo-default/0 saying first
retired demo-default/0
expect poll
answers
expect ask demo-default/0 saying quiet
left demo-default/2
answers
expect no delete
retired demo-default/0
expect ask demo-default/0 saying quiet
expect no delete
retired demo-default/0
expect delete Deployment demo-default/0 saying drained
