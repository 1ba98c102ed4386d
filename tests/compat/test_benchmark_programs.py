"""The measuring programs with real workers still run, and say what they promise. What they measure is no matter here."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
TIMEOUT_S = 100


@pytest.mark.parametrize(
    ("arguments", "promised"),
    [
        (["real_workers.py", "--tasks", "1000", "--repeats", "1", "--latency-tasks", "20"], ["empty native tasks", "submit -> result"]),
        (["gil.py", "--seconds", "1"], ["heartbeats of the blocked worker"]),
        (["transfer.py", "--quick"], ["raw TCP", "from a serialised copy"]),
        (["small_tasks.py", "--tasks", "100", "--repeats", "1"], ["ours/stock"]),
    ],
    ids=["real_workers", "gil", "transfer", "small_tasks"],
)
def test_a_benchmark_runs(arguments, promised):
    command = [sys.executable, ROOT / "benchmarks" / arguments[0], *arguments[1:]]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    for text in promised:
        assert text in done.stdout
