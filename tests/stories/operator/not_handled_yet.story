# Jobs and autoscalers say that nobody acts on them; a job's status keeps its keys.
object DaskJob job {"metadata": {"finalizers": ["kopf.zalando.org/KopfFinalizerMarker"]}, "spec": {}}
expect event NotHandledYet job saying DaskJob
expect patch DaskJob job saying finalizers
expect patch DaskJob job saying not-handled
expect field DaskJob job status = absent
plan
expect nothing
object DaskAutoscaler scaler {"spec": {"cluster": "demo", "minimum": 1, "maximum": 2}}
expect condition DaskAutoscaler scaler Ready = False NotHandledYet
expect event NotHandledYet scaler
expect status DaskAutoscaler scaler
plan
expect nothing
