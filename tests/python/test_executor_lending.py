"""Large blobs stay where they are: the other side copies them out of this process's memory, and gives them back."""

import ctypes
import os
import pathlib
import sys

import numpy
import pytest
from dask._task_spec import TaskRef
from executor_driver import Executor, pack, unpack

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "python"))
from dask_native.executor import lending

SIZE = lending.LENT_BYTES_MIN
PROBE = ctypes.c_uint64(0x1234_5678_9ABC_DEF0)


def probe(**other):
    return {"pid": os.getpid(), "address": ctypes.addressof(PROBE), "value": PROBE.value, **other}


@pytest.fixture
def executor():
    with Executor(lending=probe()) as executor:
        executor.agreed = executor.wait_for("lending")
        executor.wait_for("ready")
        yield executor


def read_from(executor, place):
    """What the executor lent, read as the worker does."""
    _, address, size = place
    reader = lending.Lending()
    reader._worker = executor.process.pid
    return bytes(reader.borrow(address, size))


def lent_there(executor):
    """How many blobs the executor has lent and not got back. Requests that were sent before have been served by then."""

    def count(dask_worker):
        return len(dask_worker.service.channel.lending._lent)

    return unpack_result(executor.run_function(count))


def unpack_result(reply):
    assert reply["status"] == "OK", reply
    result = reply["result"]
    return result if isinstance(result, int) else unpack(result)


def lend_from_here(executor, value):
    """Stores a value under `x`; its one large frame is lent. Returns what has to stay alive."""
    header, frame = pack(value)
    place = ctypes.create_string_buffer(frame, len(frame))
    executor.send(["put", None, [["x", header, 1]]], lent=(7, ctypes.addressof(place), len(frame)))
    return place


def test_both_sides_find_out_that_they_can_read_each_other(executor):
    assert executor.agreed.can_read_us
    assert executor.agreed.pid == executor.process.pid
    assert int.from_bytes(read_from(executor, (0, executor.agreed.address, 8)), "little") == PROBE.value


@pytest.mark.parametrize("wrong", [{"value": 1}, {"address": 8}, {"pid": 2**22 + 1}])
def test_a_worker_that_cannot_be_read_lends_nothing(wrong):
    with Executor(lending=probe(**wrong)) as executor:
        assert not executor.wait_for("lending").can_read_us


def test_without_the_workers_probe_everything_passes_the_socket():
    with Executor() as executor:
        executor.run("x", numpy.zeros, SIZE)
        assert not any(event.op == "lending" for event in executor.pending)
        _, frame = executor.serialise("x")["x"]
        assert isinstance(frame, bytes)


def test_a_large_frame_is_lent_until_it_is_given_back_even_when_its_key_is_dropped(executor):
    executor.run("x", numpy.arange, SIZE // 8)
    header, place = executor.serialise("x", lend=True)["x"]
    lease, _, size = place
    assert size == SIZE
    executor.send(["drop", ["x"]])
    assert executor.serialise("x") == {"x": None}
    assert lent_there(executor) == 1
    assert (unpack([header, read_from(executor, place)]) == numpy.arange(SIZE // 8)).all()
    executor.send(["give-back", lease])
    assert lent_there(executor) == 0


def test_a_lease_that_is_unknown_is_given_back_for_nothing(executor):
    executor.send(["give-back", 99])
    assert lent_there(executor) == 0


def test_small_frames_and_those_that_were_not_asked_for_so_are_sent(executor):
    executor.run("small", numpy.zeros, 10)
    executor.run("x", numpy.zeros, SIZE)
    assert all(isinstance(part, bytes) for part in executor.serialise("small", lend=True)["small"])
    assert all(isinstance(part, bytes) for part in executor.serialise("x")["x"])


def test_a_lent_input_is_copied_returned_at_once_and_writable(executor):
    memory = lend_from_here(executor, numpy.arange(SIZE // 8))
    assert executor.wait_for("returned").leases == (7,)
    ctypes.memset(memory, 0, SIZE)

    def change(x):
        x[0] = 5
        return int(x[0]), int(x[-1])

    executor.run("changed", change, TaskRef("x"))
    assert executor.value("changed") == (5, SIZE // 8 - 1)


def test_a_block_that_is_not_there_ends_the_executor(executor):
    executor.send(["put", None, [["x", b"", 1]]], lent=(7, 8, SIZE, 99))
    assert executor.process.wait(20) == 70
    assert "the courier has no block 99" in executor.read_output()


def test_a_lent_blob_that_is_not_there_ends_the_executor(executor):
    executor.send(["put", None, [["x", b"", 1]]], lent=(7, 8, SIZE))
    assert executor.process.wait(20) == 70
    assert "cannot read the worker's memory" in executor.read_output()
