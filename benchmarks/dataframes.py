"""The tutorial's headline question, "which airport has the largest mean delay?", asked of ten CSV files (245 MB) by everybody in turn.

All contenders read the files anew each time, from the page cache. They take turns within each repeat, so that whatever else the machine
does meets them alike. Printed are the least and the median seconds, CPU seconds, and the ratio to ours with threads.

    .venv/bin/pip install -r benchmarks/requirements.txt
    .venv/bin/python benchmarks/dataframes.py                 # a minute
    .venv/bin/python benchmarks/dataframes.py --only ours-threads,polars --repeats 15
"""

import argparse
import concurrent.futures
import glob
import importlib.util
import os
import pathlib
import statistics
import subprocess
import sys
import time
import warnings

ROOT = pathlib.Path(__file__).parent.parent
COLUMNS = ["DepDelay", "Origin", "Cancelled"]
warnings.filterwarnings("ignore", "Support for nested sequences for 'parse_dates'", FutureWarning)
os.environ.setdefault("PYTHONWARNINGS", "ignore::FutureWarning")


def dask_contender(scheduler):
    def ask(files):
        import dask.dataframe as dd

        df = dd.read_csv(files, parse_dates={"Date": [0, 1, 2]}, dtype={"TailNum": object, "CRSElapsedTime": float, "Cancelled": bool})
        return df[~df.Cancelled].groupby("Origin").DepDelay.mean().max().compute(scheduler=scheduler)

    return ask


def polars(files):
    import polars as pl

    frame = pl.scan_csv(files, schema_overrides={"TailNum": pl.String, "CRSElapsedTime": pl.Float64, "AirTime": pl.Float64})
    return (
        frame.filter(pl.col("Cancelled") == 0)
        .group_by("Origin")
        .agg(pl.col("DepDelay").mean())
        .select(pl.col("DepDelay").max())
        .collect()
        .item()
    )


def duckdb(files):
    import duckdb

    types = {"TailNum": "VARCHAR", "CRSElapsedTime": "DOUBLE", "AirTime": "DOUBLE", "TaxiIn": "DOUBLE", "TaxiOut": "DOUBLE"}
    source = f"read_csv('{files}', types={types})"
    query = f"select max(delay) from (select avg(DepDelay) as delay from {source} where Cancelled = 0 group by Origin)"
    return duckdb.connect().sql(query).fetchall()[0][0]


def pyarrow(files):
    """Three columns, which is more than any of the others is told; two files at a time."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.csv

    options = pyarrow.csv.ConvertOptions(include_columns=COLUMNS, column_types={"DepDelay": pa.float64(), "Cancelled": pa.int8()})
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        table = pa.concat_tables(pool.map(lambda path: pyarrow.csv.read_csv(path, convert_options=options), sorted(glob.glob(files))))
    flown = table.filter(pc.equal(table["Cancelled"], 0))
    return pc.max(flown.group_by("Origin").aggregate([("DepDelay", "mean")])["DepDelay_mean"]).as_py()


class Ours:
    """Our program, kept running; it measures itself."""

    def __init__(self, files):
        program = ROOT / "build" / "bin" / "dask-flights"
        if not program.exists():
            sys.exit(f"{program} is not there: build it with  cmake --build --preset release --target dask-flights")
        self.process = subprocess.Popen([program, files], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, scheduler):
        self.process.stdin.write(scheduler + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if len(answer) != 3:
            sys.exit(f"dask-flights ended with {scheduler}")
        return tuple(map(float, answer))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


PEERS = {
    "dask-threads": dask_contender("threads"),
    "dask-processes": dask_contender("processes"),
    "dask-sync": dask_contender("sync"),
    "dask-distributed": None,  # made in main: it needs a cluster
    "polars": polars,
    "duckdb": duckdb,
    "pyarrow": pyarrow,
}
OURS = ["ours-threads", "ours-sync", "ours-processes", "ours-distributed"]
SLOW = ("dask-", "ours-distributed", "ours-processes")


def cpu_seconds():
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", default=ROOT / "data" / "nycflights", type=pathlib.Path)
    parser.add_argument("--repeats", default=9, type=int, help="of the fast contenders; Dask gets a third of them")
    parser.add_argument("--only", default="", help="names separated by commas")
    arguments = parser.parse_args()
    files = str(arguments.folder / "*.csv")
    if not glob.glob(files):
        parser.error(f"no CSV files in {arguments.folder}: make them with examples/make_flights.py")
    names = [name for name in arguments.only.split(",") if name] or [*OURS, *PEERS]
    if unknown := set(names) - set(OURS) - set(PEERS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join([*OURS, *PEERS])}")
    for module in ("polars", "duckdb"):
        if module in names and not importlib.util.find_spec(module):
            print(f"{module} is not installed (benchmarks/requirements.txt): left out")
            names.remove(module)

    ours = Ours(files)
    cluster = client = None
    if "dask-distributed" in names:
        from distributed import Client, LocalCluster

        cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
        client = Client(cluster, set_as_default=False)
        PEERS["dask-distributed"] = dask_contender(client)
    size = sum(os.path.getsize(path) for path in glob.glob(files))
    print(f"{size / 1e6:.0f} MB; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; seconds")

    seconds, cpu, results = {}, {}, {}
    for repeat in range(-1, arguments.repeats):  # one round to warm up
        for name in names:
            if name.startswith(SLOW) and repeat >= max(1, arguments.repeats // 3):
                continue
            if name.startswith("ours-"):
                elapsed, used, result = ours.ask(name.removeprefix("ours-"))
            else:
                before, begin = cpu_seconds(), time.perf_counter()
                result = PEERS[name](files)
                elapsed, used = time.perf_counter() - begin, cpu_seconds() - before
            results[name] = result
            if repeat >= 0:
                seconds.setdefault(name, []).append(elapsed)
                cpu.setdefault(name, []).append(used)
    ours.close()
    if client:
        client.close()
        cluster.close()

    base = statistics.median(seconds["ours-threads"]) if "ours-threads" in seconds else None
    print(f"{'':18} {'least':>8} {'median':>8} {'CPU':>8} {'MB/s':>8} {'÷ ours':>8}")
    for name in names:
        median = statistics.median(seconds[name])
        ratio = f"{median / base:8.1f}" if base else ""
        print(f"{name:18} {min(seconds[name]):8.3f} {median:8.3f} {statistics.median(cpu[name]):8.3f} {size / 1e6 / median:8.0f} {ratio}")
    if base:
        for what, group in {"Dask's best": "dask-", "the best of polars, duckdb, pyarrow": ("polars", "duckdb", "pyarrow")}.items():
            medians = [statistics.median(values) for name, values in seconds.items() if name.startswith(group)]
            if medians:
                print(f"threads are {min(medians) / base:.1f} times as fast as {what}")
    expected = next(iter(results.values()))
    wrong = {name: result for name, result in results.items() if abs(result - expected) > 1e-9}
    print(f"all answers: {expected}" if not wrong else f"ANSWERS DIFFER: {results}")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
