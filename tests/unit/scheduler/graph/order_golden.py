"""Writes order_golden.inc: typical graphs and how many results Dask's own order holds at most. Run: python order_golden.py"""

import pathlib
import random

import dask
from dask._task_spec import DataNode, Task, TaskRef
from dask.order import diagnostics, order


def nothing(*args):
    pass


class Graph(dict):
    def task(self, key, *deps):
        self[key] = Task(key, nothing, *map(TaskRef, deps))
        return key


def tree(n, width):
    g = Graph()
    layer = [g.task(("inc", i), g.task(("load", i))) for i in range(n)]
    level = 0
    while len(layer) > 1:
        level += 1
        layer = [g.task((f"sum{level}", i // width), *layer[i : i + width]) for i in range(0, len(layer), width)]
    return g


def merge(n):
    g = Graph()
    g.task("sum", *[g.task(("inc", i), g.task(("load", i))) for i in range(n)])
    return g


def chains(n, length):
    g = Graph()
    for i in range(n):
        for j in range(length):
            g.task((f"step{j}", i), *[(f"step{j - 1}", i)][:j])
    return g


def overlap(n, steps):
    g = Graph()
    layer = [g.task(("load", i)) for i in range(n)]
    for s in range(steps):
        left = [g.task((f"left{s}", i), x) for i, x in enumerate(layer)]
        right = [g.task((f"right{s}", i), x) for i, x in enumerate(layer)]
        layer = [g.task((f"joined{s}", i), *right[max(0, i - 1) : i], layer[i], *left[i + 1 : i + 2]) for i in range(n)]
        layer = [g.task((f"mapped{s}", i), x) for i, x in enumerate(layer)]
    return g


def overlap_2d(n):
    g = Graph()
    for i in range(n):
        for j in range(n):
            g.task(("load", i, j))
    for i in range(n):
        for j in range(n):
            near = [("load", a, b) for a in (i - 1, i, i + 1) for b in (j - 1, j, j + 1) if 0 <= a < n and 0 <= b < n]
            g.task(("out", i, j), g.task(("joined", i, j), *near))
    return g


def variance(n):
    g = Graph()
    load = [g.task(("load", i)) for i in range(n)]

    def reduce(layer, name):
        level = 0
        while len(layer) > 1:
            level += 1
            layer = [g.task((f"{name}{level}", i // 4), *layer[i : i + 4]) for i in range(0, len(layer), 4)]
        return layer[0]

    mean = reduce([g.task(("count", i), x) for i, x in enumerate(load)], "mean")
    reduce([g.task(("square", i), x, mean) for i, x in enumerate(load)], "var")
    return g


def shuffle(n, outputs):
    g = Graph()
    parts = [g.task(("split", i), g.task(("load", i))) for i in range(n)]
    for j in range(outputs):
        g.task(("out", j), g.task(("concat", j), *[g.task(("get", i, j), part) for i, part in enumerate(parts)]))
    return g


def matmul(n):
    g = Graph()
    for i in range(n):
        for k in range(n):
            g.task(("a", i, k))
            g.task(("b", i, k))
    for i in range(n):
        for j in range(n):
            g.task(("sum", i, j), *[g.task(("mul", i, j, k), ("a", i, k), ("b", k, j)) for k in range(n)])
    return g


def shared_data(n):
    g = Graph()
    g["data"] = DataNode("data", 1)
    layer = [g.task(("map", i), "data", g.task(("load", i))) for i in range(n)]
    for i in range(0, n, 4):
        g.task(("sum", i), *layer[i : i + 4])
    return g


def cumulative(n):
    g = Graph()
    total = []
    for i in range(n):
        load = g.task(("load", i))
        total = [g.task(("cum", i), *total, g.task(("part", i), load))]
        g.task(("out", i), load, *total)
    return g


def anomaly(n, groups):
    g = Graph()
    load = [g.task(("load", i)) for i in range(n)]
    for group in range(groups):
        members = load[group::groups]
        mean = g.task(("mean", group), *[g.task(("part", group, i), x) for i, x in enumerate(members)])
        for i, x in enumerate(members):
            g.task(("anomaly", group, i), x, mean)
    return g


def randomly(n, seed, deps_max, window):
    r = random.Random(seed)
    g = Graph()
    for i in range(n):
        low = max(0, i - window)
        count = min(r.randint(0, deps_max), i - low)
        g.task(("x", i), *[("x", j) for j in r.sample(range(low, i), count)])
    return g


GRAPHS = {
    "tree_of_two": tree(64, 2),
    "tree_of_eight": tree(128, 8),
    "merge": merge(100),
    "chains": chains(40, 5),
    "overlap": overlap(50, 1),
    "overlap_three_times": overlap(25, 3),
    "overlap_2d": overlap_2d(8),
    "variance": variance(64),
    "shuffle": shuffle(10, 10),
    "shuffle_wider": shuffle(6, 20),
    "shuffle_narrower": shuffle(20, 6),
    "matmul": matmul(5),
    "shared_data": shared_data(60),
    "cumulative": cumulative(50),
    "anomaly": anomaly(60, 6),
    **{f"random_{seed}": randomly(200, seed, 3, 30) for seed in range(4)},
    **{f"random_wide_{seed}": randomly(200, seed, 2, 200) for seed in range(4)},
    **{f"random_dense_{seed}": randomly(120, seed, 6, 20) for seed in range(4)},
}


def main():
    lines = [f"// Written by order_golden.py with dask {dask.__version__}: name, dependencies per task, data tasks, Dask's pressure."]
    for name, graph in GRAPHS.items():
        index = {key: i for i, key in enumerate(graph)}
        rows = [sorted(index[d] for d in node.dependencies) for node in graph.values()]
        data = [i for i, node in enumerate(graph.values()) if isinstance(node, DataNode)]
        pressure = max(diagnostics(graph, order(graph))[1])
        text = ",".join("{" + ",".join(map(str, row)) + "}" for row in rows)
        lines.append(f'{{"{name}", {{{text}}}, {{{",".join(map(str, data))}}}, {pressure}}},')
    (pathlib.Path(__file__).parent / "order_golden.inc").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
