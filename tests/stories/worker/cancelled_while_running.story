# A running task that is freed is cancelled; its result is for nobody.
compute x
expect execute x
free x
expect state x = cancelled(executing)
expect running = 1
compute y
expect no execute
done x
expect drop x
expect execute y
expect no finished
expect state x = forgotten
