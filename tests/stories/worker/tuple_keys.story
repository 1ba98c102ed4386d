# Keys are equal where Python's are.
compute (y,0) where 1=b
gathered b: 1.0
expect state (y,0) = executing
free (y,0.0)
expect state (y,0) = cancelled(executing)
