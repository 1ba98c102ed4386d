# An actor stays until it is freed.
compute a actor
done a nbytes=14
expect finished a
free a
expect drop a saying actor
expect release a
