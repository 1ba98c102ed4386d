# What the API server refuses is said in its own words, and forgotten when a write goes through.
given cluster demo replicas=1
refused Deployment demo-scheduler 422 saying spec.template.spec.containers[0].image: Required value
expect condition DaskCluster demo Degraded = True SpecInvalid
expect event SpecInvalid demo saying Required value
accepted
refused Pod demo-default/0 403 saying pods is forbidden: exceeded quota: small
expect condition DaskWorkerGroup demo-default Degraded = True QuotaExceeded
expect event QuotaExceeded demo-default
expect event QuotaExceeded demo
accepted
expect condition DaskCluster demo Degraded = False AsExpected
