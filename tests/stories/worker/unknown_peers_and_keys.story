# What concerns nobody here is passed over.
free x
lost b
retry b
refresh x=b
steal x
expect stolen x saying none
cancel x
remove-replicas x
expect nothing
expect tasks = 0
