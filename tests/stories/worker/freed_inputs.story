# A freed task takes inputs along that nobody else needs, when they are not here yet.
set transfer-bytes-limit 1
compute z where a=b
compute y where x=b,c
expect state x = fetch
free y
expect state x y = forgotten
expect state a = flight
