"""The whole tutorial (examples/tutorial.py) on small data: every answer is pandas' answer, and nothing is printed in red."""

import pathlib
import subprocess
import sys

import pytest
from cluster import child_environment

EXAMPLES = pathlib.Path(__file__).parent.parent.parent / "examples"
ROWS_PER_FILE = 500
TUTORIAL_TIMEOUT_S = 110


@pytest.mark.parametrize("cluster", ["native", "mixed"])
def test_the_tutorial(tmp_path, cluster):
    subprocess.run([sys.executable, EXAMPLES / "make_flights.py", "--folder", tmp_path, "--rows", str(ROWS_PER_FILE)], check=True)
    done = subprocess.run(
        [sys.executable, EXAMPLES / "tutorial.py", "--folder", tmp_path, "--dashboard-address", ":0", "--scheduler", cluster],
        capture_output=True,
        text=True,
        timeout=TUTORIAL_TIMEOUT_S,
        env=child_environment(),
        check=False,
    )
    assert done.stderr == ""
    assert "all answers are pandas' answers" in done.stdout
    assert done.returncode == 0


def test_the_flights_are_the_same_every_time(tmp_path):
    for folder in ("one", "two"):
        command = [sys.executable, EXAMPLES / "make_flights.py", "--folder", tmp_path / folder, "--rows", "50"]
        subprocess.run(command, check=True)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == [f"{year}.csv" for year in range(1990, 2000)]
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
