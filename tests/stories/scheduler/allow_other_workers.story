# Restrictions that the user calls loose are a wish: when no such worker is there, any other will do.
worker a
client c
submit c: x workers=b allow_other_workers
expect compute x on a
worker b
submit c: y workers=b allow_other_workers
expect compute y on b
