# The same, but the task fails: now the input is fetched, and nobody hears of the failure.
compute x
free x
compute y where x=b
failed x saying boom
expect no erred
expect gather x from b
