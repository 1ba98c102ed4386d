# A barrier that nobody needs any more stops its shuffle; forgotten, it says so again.
worker a
client c
graph c wants o: t; shuffle-barrier-s <- t barrier; o <- shuffle-barrier-s
expect compute t on a
finished t on a
expect compute shuffle-barrier-s on a
finished shuffle-barrier-s on a
expect compute o on a
finished o on a
expect barrier-stopped shuffle-barrier-s
release c: o
expect barrier-stopped shuffle-barrier-s
expect tasks = 0
