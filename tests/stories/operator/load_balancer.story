# Behind a load balancer a cluster is Running once that has an address.
given cluster demo replicas=0 service=LoadBalancer
expect phase demo = Pending
edit Service demo-scheduler {"status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}}
expect phase demo = Running
