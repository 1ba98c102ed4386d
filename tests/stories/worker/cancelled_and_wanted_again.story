# Freed and wanted again while it runs: as if nothing had happened, but for the run it reports.
compute x run=1
free x
compute x run=2
expect state x = executing
expect nothing
done x
expect finished x run=1
