"""The whole state as clients and tools read it: dump_state, Client.dump_cluster_state; and how much history is kept."""

import re

from cluster import wait_until
from dask.config import serialize
from distributed import Client, wait
from distributed.cluster_dump import DumpArtefact, load_cluster_dump


def dump_of(client, *exclude):
    return client.sync(client.scheduler.dump_state, exclude=["versions", "extensions", *exclude])


def has_tuples_for_names(value):
    if not isinstance(value, dict):
        return False
    return any(isinstance(name, tuple) or has_tuples_for_names(item) for name, item in value.items())


def test_a_dump_describes_tasks_as_dask_does(client, gate):
    made = client.submit(lambda: 1, key="d", pure=False)
    failed = client.submit(lambda: 1 / 0, key="failed-1", pure=False)
    wait([made, failed])
    running = client.submit(gate.wait, key=("running", 1))
    after = client.submit(lambda a, b: a, made, running, key="after", priority=3, retries=2)
    nowhere = client.submit(lambda: 1, key="nowhere", workers=["no-such-host"], pure=False)
    tasks = {}

    def all_arrived():
        tasks.update(dump_of(client)["tasks"])
        return len(tasks) == 5 and tasks["nowhere"]["state"] == "no-worker"

    wait_until(all_arrived, "the tasks")
    assert set(tasks) == {"d", "failed-1", "['running', 1]", "after", "nowhere"}

    assert tasks["d"]["state"] == "memory" and tasks["d"]["nbytes"] > 0 and tasks["d"]["type"] == "int"
    (holder,) = tasks["d"]["who_has"]
    assert re.fullmatch(r"<WorkerState 'tcp://127\.0\.0\.1:\d+', name: [ab], status: running, memory: 1, processing: \d>", holder)
    assert tasks["d"]["group"] == "<d: memory: 1>" and tasks["d"]["group_key"] == "d"
    assert list(tasks["d"]["who_wants"]) == [f"<Client '{client.id}'>"]

    assert tasks["failed-1"]["exception_text"] == "ZeroDivisionError('division by zero')"
    assert tasks["failed-1"]["exception_blame"] == "<TaskState 'failed-1' erred>"
    assert len(tasks["failed-1"]["erred_on"]) == 1

    assert list(tasks["after"]["waiting_on"]) == ["<TaskState ('running', 1) processing>"]
    assert sorted(tasks["after"]["dependencies"]) == ["<TaskState 'd' memory>", "<TaskState ('running', 1) processing>"]
    assert tasks["after"]["retries"] == 2 and tasks["after"]["priority"][0] == -3
    assert list(tasks["nowhere"]["host_restrictions"]) == ["no-such-host"] and tasks["nowhere"]["state"] == "no-worker"
    del nowhere, after, failed


def test_a_dump_describes_workers_groups_and_clients(client):
    future = client.submit(lambda: 1, key="g-1", pure=False)
    wait(future)
    dump = dump_of(client)
    assert dump["status"] == "running" and dump["type"] == "Scheduler" and dump["address"] == client.scheduler.address
    assert sorted(w["name"] for w in dump["workers"].values()) == ["a", "b"]
    for worker in dump["workers"].values():
        assert worker["status"] == "<Status.running: 'running'>"
        assert worker["memory"]["process"] > worker["memory"]["managed"] >= 0
        assert worker["nthreads"] == 1 and not worker["processing"]
    group = dump["task_groups"]["g"]
    assert group["states"]["memory"] == 1 and group["done"] and list(group["types"]) == ["int"] and group["nbytes_total"] > 0
    assert list(dump["clients"][client.id]["wants_what"]) == ["<TaskState 'g-1' memory>"]
    key, start, finish, _, stimulus, when = dump["transition_log"][-1]
    assert (key, start, finish) == ("g-1", "processing", "memory") and stimulus and when > 1e9


def test_a_dump_leaves_out_what_is_excluded_everywhere(client):
    future = client.submit(lambda: 1, pure=False)
    wait(future)
    dump = dump_of(client, "workers", "memory", "who_has")
    assert "workers" not in dump and "memory" not in dump
    assert all("who_has" not in task and "key" in task for task in dump["tasks"].values())


def test_dump_cluster_state_writes_a_file_that_dasks_tools_read(client, tmp_path):
    future = client.submit(lambda: 1, key="x-1", pure=False)
    wait(future)
    wait_until(lambda: has_tuples_for_names(client.scheduler_info(n_workers=-1)), "a heartbeat that tells of the task")
    client.dump_cluster_state(str(tmp_path / "dump"), exclude=["run_spec"])
    state = load_cluster_dump(str(tmp_path / "dump.msgpack.gz"))
    assert set(state) == {"scheduler", "workers", "versions"}
    assert sorted(state["workers"]) == sorted(state["scheduler"]["workers"])
    assert state["versions"]["scheduler"]["packages"]["distributed"]
    dump = DumpArtefact.from_url(str(tmp_path / "dump.msgpack.gz"))
    assert [t["key"] for t in dump.scheduler_tasks_in_state("memory")] == ["x-1"]
    assert [line[2] for line in dump["scheduler"]["transition_log"] if line[0] == "x-1"][-1] == "memory"


def test_history_may_be_unlimited(make_cluster):
    cluster = make_cluster(workers=1, DASK_INTERNAL_INHERIT_CONFIG=serialize({"distributed": {"admin": {"low-level-log-length": None}}}))
    with Client(cluster.address) as client:
        wait(client.map(lambda x: x, range(600)))
        assert len(dump_of(client)["transition_log"]) > 1000
