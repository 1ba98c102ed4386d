"""Random graphs whose answers are known beforehand. Every task leaves a mark when it starts, so that faults can be placed by progress
instead of by time. Values are numbers in several wrappings (plain, arrays, bytes), and whoever unwraps one checks that it is whole.

Functions here run on the workers, which import this module.
"""

import dataclasses
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

MODULUS = (1 << 61) - 1
SHUFFLE_ROWS = 4000


# ---- on the workers ----


def mark():
    """One byte a start: the size of the file is how far the program is."""
    descriptor = os.open(os.environ["CHAOS_STARTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, b".")
    os.close(descriptor)


def wrap(number, size):
    """`size` 0: the number itself; above: an array of so many; below: the number and so many bytes."""
    if size == 0:
        return number
    if size > 0:
        return np.full(size, number, dtype=np.int64)
    return number, number.to_bytes(8, "little") * (-size // 8)


def unwrap(value):
    if isinstance(value, np.ndarray):
        assert (value == value[0]).all(), "an array arrived damaged"
        return int(value[0])
    if isinstance(value, tuple):
        number, repeated = value
        assert repeated == number.to_bytes(8, "little") * (len(repeated) // 8), "bytes arrived damaged"
        return number
    return value


def number_of(salt, numbers):
    for number in numbers:
        salt = (salt * 31 + number + 7) % MODULUS
    return salt


def mix(salt, seconds, size, *inputs):
    mark()
    if seconds:
        time.sleep(seconds)
    return wrap(number_of(salt, map(unwrap, inputs)), size)


def split(salt, seconds, parts):
    mark()
    time.sleep(seconds)
    return [wrap((salt + part) % MODULUS, 200) for part in range(parts)]


def join(part, seconds, *splits):
    mark()
    time.sleep(seconds)
    return number_of(part, [unwrap(parts[part]) for parts in splits])


def marked(value):
    mark()
    return value


# ---- where the client is ----


@dataclasses.dataclass
class Program:
    name: str
    tasks: int  # about so many marks
    wanted: list[tuple[Any, Any]]  # future, expected answer
    same: Callable[[Any, Any], bool] = lambda got, expected: unwrap(got) == expected
    may_be_lost: bool = False  # it uses data that nothing can compute again
    kept: list = dataclasses.field(default_factory=list)  # futures that must live


def random_size(random):
    return random.choice([0, 0, 0, 100, 20_000, 300_000, -64, -100_000])


def random_seconds(random):
    return random.choice([0, 0, 0.002, 0.01, 0.03, 0.1])


def random_graph(client, random, name):
    """Every task needs up to four of those before it; the client lets go of most."""
    numbers, futures, graph = [], [], {}
    as_one_graph = random.random() < 0.5
    for i in range(random.randrange(40, 160)):
        salt = random.randrange(MODULUS)
        inputs = random.sample(range(i), min(i, random.choice([0, 1, 1, 2, 2, 3, 4])))
        numbers.append(number_of(salt, [numbers[j] for j in inputs]))
        key, seconds, size = f"mix-{name}-{i}", random_seconds(random), random_size(random)
        if as_one_graph:
            graph[key] = (mix, salt, seconds, size, *(f"mix-{name}-{j}" for j in inputs))
        else:
            futures.append(client.submit(mix, salt, seconds, size, *(futures[j] for j in inputs), key=key))
    wanted = sorted({len(numbers) - 1, *random.sample(range(len(numbers)), len(numbers) // 4)})
    chosen = client.get(graph, [f"mix-{name}-{i}" for i in wanted], sync=False) if as_one_graph else [futures[i] for i in wanted]
    return Program("random graph", len(numbers), list(zip(chosen, (numbers[i] for i in wanted))))


def tree(client, random, name):
    level = [random.randrange(MODULUS) for _ in range(2 ** random.randrange(4, 7))]
    futures = client.map(mix, level, [random_seconds(random) for _ in level], [random_size(random) for _ in level], pure=False)
    tasks = len(level)
    while len(level) > 1:
        salt = random.randrange(MODULUS)
        pairs = range(0, len(level), 2)
        futures = [client.submit(mix, salt, 0.005, random_size(random), futures[i], futures[i + 1], pure=False) for i in pairs]
        level = [number_of(salt, level[i : i + 2]) for i in pairs]
        tasks += len(level)
    return Program("tree", tasks, [(futures[0], level[0])])


def maps(client, random, name):
    """Layers of maps, each of which needs two neighbours of the one before."""
    numbers = [random.randrange(MODULUS) for _ in range(random.randrange(10, 40))]
    futures = client.map(mix, numbers, [0.005] * len(numbers), [random_size(random)] * len(numbers), pure=False)
    n, layers = len(numbers), random.randrange(2, 6)
    for layer in range(layers):
        futures = [client.submit(mix, layer, random_seconds(random), 50, futures[i], futures[(i + 1) % n], pure=False) for i in range(n)]
        numbers = [number_of(layer, [numbers[i], numbers[(i + 1) % n]]) for i in range(n)]
    return Program("maps", n * (layers + 1), list(zip(futures, numbers)))


def all_to_all(client, random, name):
    salts = [random.randrange(MODULUS) for _ in range(random.randrange(5, 16))]
    n = len(salts)
    splits = [client.submit(split, salt, random_seconds(random), n, pure=False) for salt in salts]
    futures = [client.submit(join, part, random_seconds(random), *splits, pure=False) for part in range(n)]
    return Program("all to all", 2 * n, [(futures[p], number_of(p, [(salt + p) % MODULUS for salt in salts])) for p in range(n)])


def scattered(client, random, name):
    numbers = [random.randrange(MODULUS) for _ in range(random.randrange(4, 20))]
    values = [wrap(number, random_size(random)) for number in numbers]
    data = client.scatter(values, broadcast=random.random() < 0.3, direct=random.choice([True, False]), hash=False)
    futures = [client.submit(mix, 3, 0.02, random_size(random), one, data[0], pure=False) for one in data for _ in range(3)]
    expected = [number_of(3, [number, numbers[0]]) for number in numbers for _ in range(3)]
    return Program("scattered", len(futures), list(zip(futures, expected)), may_be_lost=True, kept=data)


def shuffle(client, random, name):
    """A P2P shuffle or merge of dataframes."""
    import dask.dataframe as dd
    import pandas as pd

    factor, parts = random.randrange(1, 1000), random.randrange(4, 20)
    frame = pd.DataFrame({"a": [i * factor for i in range(SHUFFLE_ROWS)], "b": [i * 7 % 101 for i in range(SHUFFLE_ROWS)]})
    df = dd.from_pandas(frame, npartitions=parts).map_partitions(marked, meta=frame[:0])
    if random.random() < 0.5:
        result, expected = df.shuffle("b").map_partitions(marked, meta=frame[:0]), frame
    else:
        other = pd.DataFrame({"b": range(101), "c": [b * b for b in range(101)]})
        result = df.merge(dd.from_pandas(other, npartitions=3), on="b", shuffle_method="p2p", broadcast=False)
        expected = frame.merge(other, on="b")

    def same(got, wanted):
        columns = list(wanted.columns)
        return got[columns].sort_values(columns).reset_index(drop=True).equals(wanted.sort_values(columns).reset_index(drop=True))

    return Program("shuffle", 2 * parts, [(client.compute(result), expected)], same)


def rechunk(client, random, name):
    import dask.array as da

    rows, columns = random.randrange(20, 90), random.randrange(20, 90)
    values = np.arange(rows * columns).reshape(rows, columns) * random.randrange(1, 1000)
    array = da.from_array(values, chunks=(7, columns)).map_blocks(marked, dtype=values.dtype)
    array = array.rechunk((rows, 5), method="p2p").map_blocks(marked, dtype=values.dtype)
    return Program("rechunk", rows // 7 + columns // 5, [(client.compute(array), values)], lambda got, wanted: bool((got == wanted).all()))


ALL = (random_graph, random_graph, random_graph, tree, maps, maps, all_to_all, all_to_all, scattered, shuffle, shuffle, rechunk)
