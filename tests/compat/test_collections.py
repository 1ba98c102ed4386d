"""Dask's collections on our scheduler: delayed, bag, array and dataframe, computed and persisted by an unmodified client."""

import dask
import dask.array as da
import dask.bag as db
import dask.dataframe as dd
import numpy as np
import pandas as pd
from dask import delayed
from distributed import wait


def test_delayed(client):
    add = delayed(lambda x, y: x + y)
    assert add(add(1, 2), add(3, 4)).compute() == 10


def test_a_deep_chain_of_delayed(client):
    value = delayed(0)
    for _ in range(300):
        value = value + 1
    assert value.compute() == 300


def test_several_collections_in_one_compute(client):
    assert dask.compute(delayed(1) + 1, [delayed(2) * 2], {"x": delayed(3)}) == (2, [4], {"x": 3})


def test_bag(client):
    bag = db.from_sequence(range(100), npartitions=10)
    assert bag.filter(lambda x: x % 2).map(lambda x: x * x).sum().compute() == sum(x * x for x in range(1, 100, 2))


def test_array(client):
    x = da.arange(10_000, chunks=1_000).reshape(100, 100)
    np.testing.assert_array_equal((x + x.T).sum(axis=0).compute(), (x.compute() + x.compute().T).sum(axis=0))


def test_dataframe_groupby(client):
    frame = pd.DataFrame({"name": ["a", "b", "c", "a"] * 250, "value": np.arange(1000.0)})
    df = dd.from_pandas(frame, npartitions=7)
    pd.testing.assert_series_equal(
        df.groupby("name").value.mean().compute().sort_index(), frame.groupby("name").value.mean(), check_index_type=False
    )


def test_dataframe_merge_of_tasks(client):
    with dask.config.set({"dataframe.shuffle.method": "tasks"}):
        left = pd.DataFrame({"key": np.arange(100) % 10, "x": np.arange(100)})
        right = pd.DataFrame({"key": np.arange(10), "y": np.arange(10) * 10})
        merged = dd.from_pandas(left, npartitions=4).merge(dd.from_pandas(right, npartitions=3), on="key")
        assert merged.y.sum().compute() == left.merge(right, on="key").y.sum()


def test_persisted_collections_stay_on_the_workers(client):
    x = da.ones((400, 400), chunks=100).persist()
    wait(x)
    held = {key for keys in client.has_what().values() for key in keys}
    assert len(held & {future.key for future in client.futures_of(x)}) == 16
    assert x.sum().compute() == 160_000


def test_client_compute_returns_a_future(client):
    future = client.compute(db.from_sequence(range(10), npartitions=2).sum())
    assert future.result(timeout=10) == 45


def test_annotations_reach_the_scheduler(client):
    workers = list(client.scheduler_info()["workers"])
    with dask.annotate(workers=[workers[0]], allow_other_workers=False):
        x = da.ones(10, chunks=2)
    (x,) = dask.persist(x, optimize_graph=False)
    wait(x)
    assert all(holders == (workers[0],) or holders == [workers[0]] for holders in client.who_has(x).values())
