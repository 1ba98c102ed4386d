# A peer that cannot be reached is taken for dead: nothing that it held is expected from it any more.
compute y where x=b
expect gather x from b
acquire z=b w=b,c
expect gather w from c
unreachable b
expect state x z = missing
expect holders w = c
find-missing
expect ask x z
refresh x=c z=
expect no gather
expect state z = missing
gathered c: w
expect gather x from c
