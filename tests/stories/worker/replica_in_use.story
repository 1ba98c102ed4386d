# A replica that a running task uses stays, and the scheduler learns that it is still here.
acquire x=b
gathered b: x
expect add x
compute y where x=self
remove-replicas x
expect warning
expect add x
expect state x = memory
