# When nobody else has it, the busy peer is asked again after its rest.
compute y where x=b
expect gather x from b
busy b
expect no gather
retry b
expect gather x from b
