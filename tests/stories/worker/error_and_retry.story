# A failed task is kept until the scheduler frees it or tries it again.
compute x run=1
expect execute x
failed x saying boom
expect erred x saying boom
expect state x = error
compute x run=2
expect execute x run=2
done x
expect finished x run=2
