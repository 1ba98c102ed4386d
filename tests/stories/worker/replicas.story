# Replicas come on request, without a task, and go on request.
acquire x=b/100
expect gather x from b
gathered b: x
expect add x
remove-replicas x
expect drop x
expect release x
expect tasks = 0
remove-replicas x unknown
expect nothing
