# Native tasks come in batches and are reported by their handles; their inputs are gathered once for the batch.
set nthreads 2
compute y1 run=1 native where x1=b; y2 run=2 native where x2=b
expect gather x1 x2 from b
gathered b: x1 x2
expect state y1 y2 = executing
done y1
expect finished y1 run=1 saying native handle 1
failed y2 saying boom
expect erred y2 saying native handle 2: boom
