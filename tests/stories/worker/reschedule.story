# A task that asks to be placed anew is given back, with its inputs.
compute y where x=b
gathered b: x
rescheduled y
expect reschedule y
expect state y = forgotten
expect state x = memory
free x
expect release x
expect tasks = 0
