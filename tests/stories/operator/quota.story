# Pods that a quota forbids never come to be: the Deployment says why.
given cluster demo replicas=1
given runs demo-scheduler
quota demo-default/0 saying pods "x" is forbidden: exceeded quota: small, requested: cpu=2
expect condition DaskCluster demo WorkersReady = False QuotaExceeded
expect condition DaskCluster demo Degraded = True QuotaExceeded
