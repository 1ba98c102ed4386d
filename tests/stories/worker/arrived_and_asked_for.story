# Two inputs were asked for; one arrives, the other is to be computed here from the first: the first is not fetched again.
compute z where a=b c=b
expect gather a c from b
compute y priority=1 where a=b
free z
expect state a = flight
compute c run=2 where a=b
expect state c = resumed(flight->waiting)
gathered b: a
expect no gather
expect execute c run=2
