# Scattered while on its way: it is here now; what arrives later makes no difference.
compute y where x=b
scatter x
expect add x
expect execute y
gathered b: x
expect nothing
expect transfers = 0
