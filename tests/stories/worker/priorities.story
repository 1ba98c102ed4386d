# With one thread the highest priority comes first; among equals the task that was sent last.
compute a
expect execute a
compute b priority=1
compute c priority=1
compute d priority=-1
done a
expect finished a
expect execute d
done d
expect finished d
expect execute c
done c
expect finished c
expect execute b
done b
expect finished b
