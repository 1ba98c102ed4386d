"""Prints transitions_golden.inc: the transition table of the installed distributed's worker.

Run: python tests/unit/worker/state/transitions_golden.py > tests/unit/worker/state/transitions_golden.inc
"""

from distributed.worker_state_machine import WorkerState

print("// Written by transitions_golden.py: {start, finish} of WorkerState._TRANSITIONS_TABLE, sorted.")
for start, finish in sorted(WorkerState._TRANSITIONS_TABLE):
    print(f'{{"{start}", "{finish}"}},')
