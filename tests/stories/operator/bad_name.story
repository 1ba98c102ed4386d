# A name that leaves no room for suffixes is an error that is said, and nothing is made.
cluster aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeefffff replicas=1
expect status DaskCluster aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeefffff
expect event InvalidName aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeefffff saying at most 53
expect nothing
expect phase aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeefffff = Error
plan
expect nothing
given cluster invalid.chars.in.name replicas=1
expect phase invalid.chars.in.name = Error
expect condition DaskCluster invalid.chars.in.name Ready = False InvalidName
expect field Deployment invalid.chars.in.name-scheduler spec = gone
given cluster fine replicas=0
expect phase fine = Running
