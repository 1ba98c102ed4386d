# Scattered data is in memory, and no news to the scheduler.
scatter x y nbytes=1kB
expect nothing
expect state x y = memory
expect nbytes = 2000
compute z where x=self y=self
expect execute z
free x y
expect drop y x
expect release y x
