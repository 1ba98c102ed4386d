# Of two peers on other hosts, the one with more to fetch is asked first.
pause
compute z where x=b,c y=c w=b v=c
expect no gather
unpause
expect gather x y v from c
expect gather w from b
