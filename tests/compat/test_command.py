"""The commands: build/bin/dask-scheduler, and build/bin/dask, which knows our scheduler and hands everything else to Python's dask."""

import json
import os
import pathlib
import subprocess
import sys

import dask
import pytest
from cluster import IS_STOCK, Process, child_environment, wait_until

from dask_native.programs import scheduler_command

pytestmark = pytest.mark.skipif(IS_STOCK, reason="these are our commands")
BIN = pathlib.Path(scheduler_command()[0]).parent


def run(*command, **environment):
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=60, env=child_environment(**environment), check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_help_names_the_options():
    code, output = run(BIN / "dask-scheduler", "--help")
    assert code == 0
    for option in ("--host", "--port", "--dashboard-address", "--scheduler-file", "--idle-timeout", "--python"):
        assert option in output


def test_dask_scheduler_is_ours(tmp_path):
    address_file = tmp_path / "scheduler.json"
    command = [str(BIN / "dask"), "scheduler", "--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0"]
    scheduler = Process([*command, "--scheduler-file", str(address_file)], tmp_path / "log")
    try:
        wait_until(address_file.exists, "the scheduler")
        assert os.readlink(f"/proc/{scheduler.pid}/exe") == str(BIN / "dask-scheduler")
        assert json.loads(address_file.read_text())["address"].startswith("tcp://127.0.0.1:")
    finally:
        scheduler.end()


def test_other_subcommands_are_dasks_own():
    code, output = run(BIN / "dask", "--version", DASK_NATIVE_PYTHON=sys.executable)
    assert code == 0
    assert dask.__version__ in output


def test_a_scheduler_that_nobody_uses_ends_after_its_idle_timeout(tmp_path):
    command = [BIN / "dask-scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--idle-timeout", "300ms"]
    code, output = run(*command)
    assert code == 0
    assert "idle" in output


def test_the_pid_file(tmp_path):
    pid_file = tmp_path / "pid"
    address_file = tmp_path / "scheduler.json"
    command = [str(BIN / "dask-scheduler"), "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--pid-file", str(pid_file)]
    scheduler = Process([*command, "--scheduler-file", str(address_file)], tmp_path / "log")
    try:
        wait_until(address_file.exists, "the scheduler")
        assert int(pid_file.read_text()) == scheduler.pid
    finally:
        scheduler.end()
    assert not pid_file.exists()


def test_interface_gives_the_address(tmp_path):
    address_file = tmp_path / "scheduler.json"
    command = [str(BIN / "dask-scheduler"), "--interface", "lo", "--port", "0", "--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
    scheduler = Process([*command, "--scheduler-file", str(address_file)], tmp_path / "log")
    try:
        wait_until(address_file.exists, "the scheduler")
        assert json.loads(address_file.read_text())["address"].startswith("tcp://127.0.0.1:")
    finally:
        scheduler.end()


def test_an_unknown_interface_is_named_with_those_that_there_are():
    code, output = run(BIN / "dask-scheduler", "--interface", "no-such-interface", "--port", "0")
    assert code == 2
    assert "no-such-interface" in output and "lo" in output
