# An input that is freed while a task here still waits for it goes on coming; freed together with the task it is cancelled.
compute y where x=b
free x
expect state x = flight
free x y
expect state x = cancelled(flight)
expect state y = forgotten
