# A scheduler counts copies on workers that it has emptied: when it is asked for another one before the first has gone, it may drop the other
# copy. The first one's promise counts no more. Who has been deleted and is still registered is named with the next one.
given cluster demo replicas=3
given runs demo-scheduler demo-default/{0..2}
given registered demo-default/0
given registered demo-default/1 bytes=1kB
given registered demo-default/2 bytes=5kB
given answers
scale demo-default 2
expect ask demo-default/0 saying first
retired demo-default/0
answers
expect ask demo-default/0 saying quiet
scale demo-default 1
expect ask demo-default/1 saying first
retired demo-default/0
expect no delete
expect ask demo-default/0 saying quiet
retired demo-default/1
expect no delete
answers
expect no ask
expect no delete
retired demo-default/0
expect delete Deployment demo-default/0
plan
expect ask demo-default/1 saying quiet
expect ask demo-default/0 saying too
left demo-default/0
answers
expect no ask
retired demo-default/1
expect no delete
expect ask demo-default/1 saying quiet
retired demo-default/1
expect delete Deployment demo-default/1
