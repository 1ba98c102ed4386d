# A spec that makes no sense is said; a cluster that runs already goes on, and goes back to well when it is mended.
object DaskCluster demo {"spec": {"scheduler": {"service": {}, "spec": {"containers": []}}, "worker": {"spec": {"containers": [{"name": "w"}]}}}}
expect condition DaskCluster demo Degraded = True SpecInvalid
expect phase demo = Error
expect no apply
expect event SpecInvalid demo saying spec.scheduler.spec.containers
plan
expect no event
edit DaskCluster demo {"spec": {"scheduler": {"spec": {"containers": [{"name": "s"}]}}}}
expect apply Deployment demo-scheduler
expect apply Service demo-scheduler
expect condition DaskCluster demo Degraded = False AsExpected
