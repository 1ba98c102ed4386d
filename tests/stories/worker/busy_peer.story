# A busy peer is left alone for a while, and the scheduler is asked for others; a new holder is asked at once.
compute y where x=b
expect gather x from b
busy b
expect later from b
expect ask x
expect state x = fetch
refresh x=b,c
expect gather x from c
gathered c: x
expect execute y
retry b
expect nothing
