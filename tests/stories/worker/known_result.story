# A task whose result is here already is answered at once, under the new run.
compute x run=1
expect execute x
done x
expect finished x run=1
compute x run=2
expect finished x run=2
expect no execute
