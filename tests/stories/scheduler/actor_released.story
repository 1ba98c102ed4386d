# An actor that is released is freed like any other result.
worker a
client c
submit c: counter actor
expect compute counter on a
finished counter on a
release c: counter
expect free counter on a
expect tasks = 0
