# A peer is removed while it sends: what arrives is welcome all the same.
compute y where x=b
lost b
expect state x = flight
gathered b: x
expect execute y
