# A name that is being computed here is not taken for scattered data.
compute x
scatter x
expect refuse x
expect drop x
expect state x = executing
