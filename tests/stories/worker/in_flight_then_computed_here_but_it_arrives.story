# The same, but it arrives: the task is finished without having run.
compute y where x=b
free y
compute x run=4
gathered b: x
expect finished x run=4
expect state x = memory
