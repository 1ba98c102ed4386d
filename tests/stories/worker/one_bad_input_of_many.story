# Of several inputs in one message one cannot be unpacked: only its tasks fail.
compute y where x=b; z where w=b
gathered b: w failed=x saying bad bytes
expect erred x y saying bad bytes
expect state z = executing
