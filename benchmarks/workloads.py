"""Graphs that cost nothing to compute: RSDS' merge and tree, and a plain map. Built outside of the timer.

A workload's `prepare` gives (tasks, run); run(client) submits and waits until the results are in memory, and gives the futures.
"""

import functools

from dask import delayed
from distributed import wait


def inc(x):
    return x + 1


def add(x, y):
    return x + y


def times_ten(x):
    return x * 10


def tree(exponent):
    """2^exponent leaves, added in pairs until one is left."""
    layer = [delayed(inc)(i) for i in range(2**exponent)]
    tasks = len(layer)
    while len(layer) > 1:
        layer = [delayed(add)(layer[i], layer[i + 1]) for i in range(0, len(layer), 2)]
        tasks += len(layer)
    return tasks, functools.partial(_compute, layer[0])


def merge(n):
    """n independent tasks and one that needs them all."""
    parts = [delayed(times_ten)(i) for i in range(n)]
    return n + 1, functools.partial(_compute, delayed(sum)(parts))


def plain_map(n):
    def run(client):
        futures = client.map(inc, range(n))
        wait(futures)
        return futures

    return n, run


def _compute(graph, client):
    future = client.compute(graph)
    wait(future)
    return [future]


def full():
    return {
        "tree-14": functools.partial(tree, 14),
        "merge-10K": functools.partial(merge, 10_000),
        "map-20K": functools.partial(plain_map, 20_000),
    }


def quick():
    return {
        "tree-11": functools.partial(tree, 11),
        "merge-2K": functools.partial(merge, 2_000),
        "map-4K": functools.partial(plain_map, 4_000),
    }
