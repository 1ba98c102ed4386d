# Native tasks are stolen like Python's, by workers that take native tasks only.
set unknown-task-duration 10
worker a native
client c
submit c native: p; q; r; s
expect compute p on a
expect compute q on a
expect compute r on a
expect compute s on a
worker stock
steal
expect no steal
expect no compute
worker b native
steal
expect steal s on a
expect no compute
answered s on a ready
expect compute s on b
