# Ready tasks go out in the order of their priorities: the user's first, then the older graph, then the order in the graph.
set worker-saturation inf
worker a
client c
client d
submit c: p priority=-1; q; r priority=10
expect compute r on a
expect compute q on a
expect compute p on a
submit d: s; t
expect compute s on a
expect compute t on a
