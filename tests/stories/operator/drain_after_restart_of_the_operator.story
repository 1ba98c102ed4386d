# The mark is on the worker: an operator that has forgotten everything asks again and goes on.
given cluster demo replicas=2
given runs demo-scheduler demo-default/{0..1}
edit Deployment demo-default/1 {"metadata": {"annotations": {"kubernetes.dask.org/retiring": "2023-11-14T22:13:20Z"}}}
expect apply Deployment demo-default/2
expect poll
scale demo-default 1
expect no ask
expect no delete
registered demo-default/0
registered demo-default/1 status=closing_gracefully
answers
expect ask demo-default/1 saying quiet
expect delete Deployment demo-default/2 saying does not know
retired demo-default/1
expect delete Deployment demo-default/1
expect workers demo-default = 0
