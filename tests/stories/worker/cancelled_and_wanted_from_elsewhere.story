# Freed while it runs, then needed as an input that is elsewhere: its own result serves as well.
compute x
free x
compute y where x=b
expect state x = resumed(executing->fetch)
expect no gather
done x
expect add x
expect state x = memory
expect state y = executing
