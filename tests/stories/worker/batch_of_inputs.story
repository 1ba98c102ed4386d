# Inputs of several tasks from one peer come in one message, up to its limit; those of the highest priority first.
set transfer-message-bytes-limit 100
compute y1 priority=1 where x1=b/60; y2 priority=2 where x2=b/40; y3 priority=3 where x3=b/10
expect gather x1 x2 from b
expect incoming = 100
gathered b: x1 x2
expect gather x3 from b
expect incoming = 10
