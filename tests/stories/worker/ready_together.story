# Of several tasks that become ready with one input, the one with the highest priority takes the free thread.
compute c priority=3 where x=b
compute a priority=1 where x=b
compute d priority=4 where x=b
compute b priority=2 where x=b
gathered b: x
expect execute a
done a
expect execute b
done b
expect execute c
