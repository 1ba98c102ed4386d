# A worker that somebody deletes is replaced under another name: the old pod may still hold the old one at the scheduler.
given cluster demo replicas=1
given runs demo-scheduler demo-default/0
delete Deployment demo-default/0
expect apply Deployment demo-default/0
collect
