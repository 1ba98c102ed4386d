"""Dask's own scheduler behind our scheduler's command line: shows that a test is right before it judges ours.

Use: DASK_NATIVE_SCHEDULER="python tests/compat/stock_scheduler.py" pytest tests/compat
"""

import sys

from distributed.cli.dask_scheduler import main

arguments = sys.argv[1:]
if "--python" in arguments:
    at = arguments.index("--python")
    del arguments[at : at + 2]
main(arguments)
