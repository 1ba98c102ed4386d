# A peer that does not have the key after all is no holder; the next one is asked.
compute y where x=b,b.2
expect state x = flight
lost b.2
gathered b:
expect state x = missing
expect holders x = nothing
find-missing
expect ask x
