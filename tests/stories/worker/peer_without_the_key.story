# A peer that does not have the key after all is no holder; when it was the last one, the scheduler is asked.
compute y where x=b
gathered b:
expect state x = missing
expect holders x = nothing
find-missing
expect ask x
