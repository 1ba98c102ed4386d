# An input that arrives but cannot be unpacked fails those that wait for it, instead of letting them wait for ever.
compute y where x=b
garbled b saying cannot unpack
expect erred x y saying cannot unpack
expect state y = error
free y
expect tasks = 0
