# Data on its way that nobody needs any more is dropped on arrival.
compute y where x=b
free y
expect state x = cancelled(flight)
gathered b: x
expect drop x
expect no add
expect tasks = 0
