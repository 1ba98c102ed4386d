"""What our C++ programs say to arguments that they cannot understand: their name, what is wrong, where help is; and they end with 2."""

import pathlib
import subprocess

import pytest

BIN = pathlib.Path(__file__).parent.parent.parent / "build" / "bin"
PROGRAMS = ("dask-scheduler", "dask-worker", "dask-operator", "dask-zero-worker", "dask-native-submit", "dask-native-latency")


def run(program, *arguments):
    return subprocess.run([BIN / program, *arguments], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_unknown_option(program):
    result = run(program, "tcp://127.0.0.1:1", "--nonsense")
    assert result.returncode == 2
    assert result.stdout == ""
    first, last = result.stderr.splitlines()
    assert first.startswith(f"{program}: ")
    assert "--nonsense" in first
    assert last == f"Try '{program} --help'."


@pytest.mark.parametrize("program", PROGRAMS)
def test_unknown_arguments_are_named_in_their_order(program):
    result = run(program, "tcp://127.0.0.1:1", "--first", "--second")
    assert result.returncode == 2
    assert "--first --second" in result.stderr.splitlines()[0]


@pytest.mark.parametrize(("program", "option"), [("dask-scheduler", "--port"), ("dask-worker", "--nthreads"), ("dask-operator", "--port")])
def test_a_number_that_is_none(program, option):
    result = run(program, option, "many")
    assert result.returncode == 2
    assert result.stderr.startswith(f"{program}: {option}: ")
    assert "many" in result.stderr


@pytest.mark.parametrize("program", PROGRAMS)
def test_help(program):
    result = run(program, "--help")
    assert result.returncode == 0
    assert f"Usage: {program} " in result.stdout
    assert result.stderr == ""
