"""Native tasks on our worker, seen by an unmodified Python client: it fetches their results by key as plain Python objects, its own tasks
use them, and what goes wrong has a clear text. The graph is Protobuf written by hand: Python has no part in it.
"""

import pathlib
import struct

import msgpack
import pytest
from cluster import Cluster, wait_until
from distributed import Client, Future

LIBRARY = pathlib.Path(__file__).parents[2] / "build/benchmarks/libdask_benchmark_functions.so"
pytestmark = pytest.mark.skipif(not LIBRARY.exists(), reason="the library of benchmark functions is not built")


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out + bytes([number]))


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def column(rows):
    offsets, data = [0], b""
    for row in rows:
        data += row
        offsets.append(len(data))
    return field(1, data) + field(2, struct.pack(f"<{len(offsets)}I", *offsets))


def submit_native(client, tasks):
    """Tasks are (key, function, argument, keys of dependencies among the earlier ones); gives their futures."""
    keys = [key for key, *_ in tasks]
    functions = sorted({function for _, function, *_ in tasks})
    offsets, dependencies = [0], []
    for *_, needs in tasks:
        dependencies += [keys.index(key) for key in needs]
        offsets.append(len(dependencies))
    graph = varint(1 << 3) + varint(len(tasks))
    graph += field(2, column([msgpack.packb(key) for key in keys]))
    graph += b"".join(field(3, function.encode()) for function in functions)
    graph += field(4, b"".join(varint(functions.index(function)) for _, function, *_ in tasks))
    graph += field(5, column([msgpack.packb(argument) for _, _, argument, _ in tasks]))
    graph += field(6, struct.pack(f"<{len(offsets)}I", *offsets)) + field(7, struct.pack(f"<{len(dependencies)}I", *dependencies))
    graph += field(9, struct.pack(f"<{len(keys)}I", *range(len(keys))))
    futures = [Future(key, client) for key in keys]
    client._send_to_scheduler({"op": "update-graph-native", "id": 1, "graph": graph})
    return futures


@pytest.fixture
def client(tmp_path):
    cluster = Cluster(tmp_path)
    for name in "ab":
        cluster.start_worker(name, "--preload", str(LIBRARY), native=True)
    with Client(cluster.address) as client:
        client.wait_for_workers(2, timeout=30)
        yield client
    cluster.end()


VALUES = [
    None,
    True,
    5,
    -(2**40),
    2**63 + 1,
    2.5,
    "Grüße",
    b"bytes",
    [1, [2, "x"]],
    {"a": [1], "b": {"c": None}},
    list(map(str, range(5000))),
]


def test_results_are_plain_python_objects(client):
    futures = submit_native(client, [(f"echo-{i}", "echo", value, []) for i, value in enumerate(VALUES)])
    results = client.gather(futures)
    assert results == VALUES
    assert [type(result) for result in results] == [type(value) for value in VALUES]
    assert futures[2].result() == 5


def test_large_numbers_arrive_as_a_list(client):
    (future,) = submit_native(client, [("buffer-1", "buffer", 100_000, [])])
    result = future.result()
    assert len(result) == 100_000 and bytes(result[:2]) == b"xx"


def test_python_tasks_use_native_results(client):
    native = submit_native(client, [("echo-x", "echo", [1, 2, 3], [])])
    assert client.submit(sum, native[0]).result() == 6


def test_a_function_that_no_worker_has_is_named(client):
    (future,) = submit_native(client, [("x", "flights::delay(int)->double", 1, [])])
    with pytest.raises(RuntimeError, match="flights::delay") as raised:
        future.result()
    assert "library" in str(raised.value) or "load" in str(raised.value)


def test_many_tasks_with_dependencies_finish(client):
    leaves = [(f"inc-{i}", "inc", i, []) for i in range(2000)]
    futures = submit_native(client, [*leaves, ("total", "add", 0, [key for key, *_ in leaves])])
    assert futures[-1].result() == 1
    del futures
    wait_until(lambda: not any(client.has_what().values()), "the release of all results")


def test_a_library_that_cannot_be_loaded_is_named(tmp_path):
    cluster = Cluster(tmp_path)
    try:
        worker = cluster.start_worker("a", "--preload", "/nowhere/libnothing.so", native=True)
        assert worker.wait() != 0
        assert "/nowhere/libnothing.so" in worker.log
    finally:
        cluster.end()
