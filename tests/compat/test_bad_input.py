"""Peers that send nonsense, go silent or vanish: the scheduler says so in its log, drops them, and serves everybody else."""

import os
import signal
import socket
import struct
import subprocess
import sys
import textwrap

import distributed
import msgpack
import pytest
from cluster import IS_STOCK, Process, child_environment, holders_of, wait_until
from distributed import Client

from dask_native.programs import scheduler_command

PEER_TIMEOUT_S = 10


def frame(*parts):
    """A message as it is on the wire: all frames counted in the first length."""
    prelude = struct.pack(f"<Q{len(parts)}Q", len(parts), *map(len, parts))
    return struct.pack("<Q", len(prelude) + sum(map(len, parts))) + prelude + b"".join(parts)


HANDSHAKE = frame(msgpack.packb({"compression": None, "python": [3, 11, 0], "pickle-protocol": 5}))


@pytest.fixture
def peer(cluster):
    """A bare connection to the scheduler."""
    with socket.create_connection(("127.0.0.1", cluster.port), timeout=PEER_TIMEOUT_S) as connection:
        yield connection


def assert_dropped(peer):
    """The scheduler has ended the connection (after whatever it still had to say)."""
    try:
        while peer.recv(1 << 16):
            pass
    except ConnectionResetError:
        pass


def assert_works(client):
    assert client.submit(os.getpid, pure=False).result(timeout=10)


GARBAGE = {
    "text": b"GET / HTTP/1.1\r\nHost: example\r\n\r\n" * 100,
    "zeros": bytes(4096),
    "ones": b"\xff" * 4096,
    "a length of 2^63": struct.pack("<Q", 1 << 63),
    "a frame of 2^63 bytes": struct.pack("<QQQ", 16, 1, 1 << 63),
    "2^61 frames": struct.pack("<QQ", 8, 1 << 61),
    "not msgpack": frame(b"\xc1\xc1\xc1"),
    "half a map": frame(b"\x82\xa2op"),
    "a handshake that is a number": frame(b"\x01"),
    "a handshake without its fields": frame(msgpack.packb({})),
}


@pytest.mark.skipif(IS_STOCK, reason="the stock scheduler waits for ever, or allocates")
@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_instead_of_a_handshake_is_dropped(client, peer, name):
    peer.sendall(GARBAGE[name])
    peer.shutdown(socket.SHUT_WR)
    assert_dropped(peer)
    assert_works(client)


def test_half_a_message_and_the_end(client, peer):
    peer.sendall(HANDSHAKE + frame(msgpack.packb({"op": "identity"}))[:-3])
    peer.shutdown(socket.SHUT_WR)
    assert_dropped(peer)
    assert_works(client)


def test_a_silent_peer_disturbs_nobody(client, peer):
    assert_works(client)


def test_an_unknown_operation_is_survived(client, cluster):
    async def ask():
        async with distributed.rpc(cluster.address) as scheduler:
            return await scheduler.no_such_operation(x=1)

    if IS_STOCK:
        assert client.sync(ask) is None
    else:
        with pytest.raises(NotImplementedError, match="no_such_operation"):
            client.sync(ask)
    assert_works(client)


@pytest.mark.skipif(IS_STOCK, reason="the stock scheduler ends the client's stream")
def test_an_unknown_stream_operation_is_survived(client):
    client._send_to_scheduler({"op": "no-such-operation", "x": [1, {"y": None}]})
    assert_works(client)


@pytest.mark.skipif(IS_STOCK, reason="the stock scheduler ends the client's stream")
@pytest.mark.parametrize(
    "message",
    [
        {"op": "client-desires-keys"},
        {"op": "client-desires-keys", "keys": 5},
        {"op": "cancel-keys", "keys": {"a": 1}},
        {"op": "update-graph", "expr_ser": 1},
        {"op": 17},
        {},
    ],
)
def test_a_known_operation_with_wrong_fields_is_survived(cluster, message):
    with Client(cluster.address, set_as_default=False) as other:
        other._send_to_scheduler(message)
    with Client(cluster.address, set_as_default=False) as another:
        assert_works(another)


def test_a_client_that_vanishes_is_forgotten(client, cluster, tmp_path):
    ready = tmp_path / "ready"
    program = f"""
        import pathlib, time
        from dask.distributed import Client
        client = Client({cluster.address!r})
        kept = client.submit(sum, [1, 2], key="of-the-vanished")
        kept.result()
        pathlib.Path({str(ready)!r}).touch()
        time.sleep(60)
        """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], env=child_environment())
    wait_until(ready.exists, "the client's result")
    assert holders_of(client, "of-the-vanished")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_until(lambda: not holders_of(client, "of-the-vanished"), "its result's release")
    assert_works(client)


def run_scheduler(tmp_path, *options, **environment):
    """A scheduler that is expected to refuse to start: its exit code and output."""
    process = Process([*scheduler_command(), *options], tmp_path / "scheduler.log", **environment)
    try:
        return process.wait(), process.log
    finally:
        process.end()


def test_a_busy_port_is_named(cluster, tmp_path):
    code, log = run_scheduler(tmp_path, "--host", "127.0.0.1", "--port", str(cluster.port), "--no-dashboard")
    assert code != 0
    assert str(cluster.port) in log or IS_STOCK
    assert "in use" in log


def test_an_unknown_option_is_named(tmp_path):
    code, log = run_scheduler(tmp_path, "--no-such-option")
    assert code != 0
    assert "no-such-option" in log


@pytest.mark.skipif(IS_STOCK, reason="the stock scheduler notices later, or never")
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL", "five oclock"),
        ("DASK_DISTRIBUTED__SCHEDULER__WORKER_SATURATION", "lots"),
        ("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "minus one"),
    ],
)
def test_a_wrong_configuration_value_is_named(tmp_path, variable, value):
    code, log = run_scheduler(tmp_path, "--host", "127.0.0.1", "--port", "0", "--no-dashboard", **{variable: value})
    assert code != 0
    key = variable.removeprefix("DASK_").lower().replace("__", ".").replace("_", "-")
    assert key in log and value in log
