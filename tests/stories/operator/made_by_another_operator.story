# What the Python operator made is taken over: its finalizer and notes go, selectors stay, a scale that users did stays.
object DaskCluster demo {"metadata": {"finalizers": ["kopf.zalando.org/KopfFinalizerMarker", "mine"], "annotations": {"kopf.zalando.org/last": "x", "keep": "k"}}, "spec": {"scheduler": {"spec": {"containers": [{"name": "s"}]}, "service": {"ports": [{"name": "tcp-comm", "port": 8786}]}}, "worker": {"replicas": 2, "spec": {"containers": [{"name": "w"}]}}}}
expect patch DaskCluster demo
expect field DaskCluster demo metadata.finalizers = ["mine"]
expect field DaskCluster demo metadata.annotations/kopf.zalando.org/last = absent
expect field DaskCluster demo metadata.annotations.keep = k
plan
expect no patch
