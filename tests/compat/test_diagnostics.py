"""What clients ask about work that runs and ran: profiles, task metadata, memory over time, hardware."""

import time

import pytest
from cluster import IS_STOCK, NATIVE_WORKERS, wait_until
from distributed import WorkerPlugin, get_task_metadata, get_worker, wait
from distributed.diagnostics import MemorySampler


def spin(seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        sum(range(1000))
    return seconds


def names_in(profile):
    """The names of all functions in a profile."""
    names = {profile["description"]["name"]}
    for child in profile["children"].values():
        names |= names_in(child)
    return names


def test_profiles_of_workers_are_merged(client):
    client.gather(client.map(spin, [0.3, 0.3], pure=False))
    wait_until(lambda: "spin" in names_in(client.profile()), "the profile's cycle")
    merged, single = client.profile(), client.profile(merge_workers=False)
    assert merged["identifier"] == "root" and merged["count"] > 0
    assert sorted(single) == sorted(client.scheduler_info(n_workers=-1)["workers"])
    assert client.profile(key="no-such-prefix")["count"] == 0
    assert client.profile(start=time.time() + 60)["count"] == 0


def test_the_scheduler_has_a_profile_of_its_own(client):
    assert client.profile(scheduler=True)["identifier"] == "root"


@pytest.mark.skipif(IS_STOCK, reason="Dask's scheduler only has it for its dashboard")
def test_profile_metadata_says_when_what_ran(client):
    client.gather(client.map(spin, [0.2, 0.2], pure=False))
    wait_until(lambda: "spin" in client.sync(client.scheduler.profile_metadata)["keys"], "the profile's cycle")
    metadata = client.sync(client.scheduler.profile_metadata, profile_cycle_interval="100ms")
    assert sum(n for _, n in metadata["counts"]) > 0
    assert len(metadata["keys"]["spin"][0]) == 2


class NotesKeys(WorkerPlugin):
    """Notes something in the metadata of every task that ends."""

    name = "notes-keys"

    def setup(self, worker):
        self.worker = worker

    def transition(self, key, start, finish, **kwargs):
        if finish == "memory":
            self.worker.state.tasks[key].metadata["noted"] = key


def fail(message):
    raise ValueError(message)


@pytest.mark.skipif(NATIVE_WORKERS, reason="plugins see a transition after its message to the scheduler has left")
def test_task_metadata_is_collected(client):
    client.register_plugin(NotesKeys())
    with get_task_metadata() as tasks:
        good = client.submit(spin, 0.01, pure=False)
        bad = client.submit(fail, "on purpose", pure=False)
        wait([good, bad])
    client.unregister_worker_plugin("notes-keys")
    assert tasks.metadata == {good.key: {"noted": good.key}, bad.key: None}
    assert tasks.state == {good.key: "memory", bad.key: "erred"}


def test_task_metadata_ends_only_what_began(client):
    with pytest.raises(ValueError, match=r"task metadata|CollectTaskMetaDataPlugin"):
        client.sync(client.scheduler.stop_task_metadata, name="never-started")


def address_of_the_worker():
    return get_worker().address


def test_restrictions_can_be_changed(client, gate):
    a, b = sorted(client.scheduler_info(n_workers=-1)["workers"])
    blockers = [client.submit(gate.wait, workers=[w], pure=False) for w in (a, b)]
    first = client.submit(gate.wait, pure=False, key="the-first")
    future = client.submit(lambda _: get_worker().address, first, key="where")
    wait_until(lambda: client.sync(client.scheduler.get_task_status, keys=["where"])["where"] == "waiting", "the graph")
    client.sync(client.scheduler.set_restrictions, worker={"where": b})
    gate.open()
    assert future.result(timeout=10) == b
    del blockers
    with pytest.raises(KeyError):
        client.sync(client.scheduler.set_restrictions, worker={"no-such-key": b})


def set_resources(**resources):
    worker = get_worker()
    worker.loop.add_callback(worker.set_resources, **resources)


def test_resources_can_be_added(client):
    _, b = sorted(client.scheduler_info(n_workers=-1)["workers"])
    client.submit(set_resources, GPU=1, workers=[b], pure=False).result(timeout=10)
    wait_until(lambda: client.scheduler_info(n_workers=-1)["workers"][b]["resources"] == {"GPU": 1}, "the worker's resources")
    assert client.submit(address_of_the_worker, resources={"GPU": 1}, pure=False).result(timeout=10) == b


def test_memory_is_sampled(client):
    sampler = MemorySampler()
    with sampler.sample("all", measure="process", interval=0.05):
        time.sleep(0.3)
    with sampler.sample("once", measure="managed", interval=60):
        pass
    samples = sampler.samples["all"]
    assert len(samples) >= 3 and [at for at, _ in samples] == sorted(at for at, _ in samples)
    assert samples[-1][1] > 2 * 10_000_000, "two workers' processes"
    assert abs(samples[-1][0] - time.time()) < 30
    assert len(sampler.samples["once"]) == 1
    assert list(sampler.to_pandas().columns) == ["all", "once"]


def test_memory_measures_have_names(client):
    with pytest.raises(AttributeError), MemorySampler().sample("x", measure="no-such-measure"):
        pass


def answer_benchmarks(bandwidth, dask_worker):
    """The measurements themselves are the workers', and take long."""
    dask_worker.handlers["benchmark_disk"] = lambda: {"1 kiB": bandwidth, "1 MiB": 10 * bandwidth}
    dask_worker.handlers["benchmark_memory"] = lambda: {"2 kiB": 100 * bandwidth}
    dask_worker.handlers["benchmark_network"] = lambda address: {"1 kiB": 7.0}


def test_hardware_is_measured_on_all_workers(client):
    a, b = sorted(client.scheduler_info(n_workers=-1)["workers"])
    client.run(answer_benchmarks, 1.0, workers=[a])
    client.run(answer_benchmarks, 3.0, workers=[b])
    assert client.benchmark_hardware() == {"disk": {"1 kiB": 2, "1 MiB": 20}, "memory": {"2 kiB": 200}, "network": {"1 kiB": 7}}


def test_metadata_under_the_name_of_a_task_ends_with_the_task(client):
    client.set_metadata("apart", 1)
    future = client.submit(abs, -3)
    wait(future, timeout=10)
    client.set_metadata(future.key, 123)
    assert client.get_metadata(future.key) == 123
    key = future.key
    del future
    wait_until(lambda: client.get_metadata(key, None) is None, "the task's end")
    assert client.get_metadata("apart") == 1
