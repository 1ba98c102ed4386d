# A task that secedes leaves its slot to another one.
compute a run=7
expect execute a
compute b
seceded a
expect long-running a run=7
expect execute b
done a
expect finished a
