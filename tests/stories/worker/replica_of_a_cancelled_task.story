# A replica whose only user is cancelled goes at once; the user keeps what it was given.
compute y where x=b
gathered b: x
free y
remove-replicas x
expect drop x
expect release x
expect state x = released
done y
expect drop y
expect tasks = 0
