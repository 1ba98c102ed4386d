# A task waits for its input, fetches it from its holder, runs, and says so.
compute y run=3 where x=b
expect gather x from b
expect state y = waiting
gathered b: x
expect add x
expect execute y run=3
done y nbytes=8
expect finished y run=3
expect state x y = memory
expect nbytes = 9
