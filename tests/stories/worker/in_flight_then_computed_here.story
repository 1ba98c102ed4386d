# Data is on its way, and the scheduler, having lost its holder, wants it computed here: first the transfer must end.
compute y where x=b
free y
compute x run=4
expect state x = resumed(flight->waiting)
expect no execute
unreachable b
expect execute x run=4
