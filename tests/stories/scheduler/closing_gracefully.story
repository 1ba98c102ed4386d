# A worker that is about to leave hands its only copies over: the others are asked to fetch them.
worker a
client c
submit c: x; y
expect compute x on a
expect compute y on a
finished x on a
finished y on a
worker b
added b: y
closing a
retire a
expect acquire x on b where x=a
expect no compute
added b: x
retire a
expect nothing
lost a expected
expect nothing
expect holders x = b
expect holders y = b
