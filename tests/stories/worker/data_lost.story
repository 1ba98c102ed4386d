# An executor died with the data in it: tasks that wait go on waiting, and the scheduler is told.
scatter x
compute busy
compute y where x=self
expect state y = ready
data-lost x
expect release x
expect state x = missing
expect state y = waiting
find-missing
expect ask x
refresh x=c
expect state x = flight
