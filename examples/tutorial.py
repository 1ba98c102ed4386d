"""Dask's tutorial chapter "Distributed", cell by cell, with unmodified dask and distributed.

One cell differs: `client = Client()` has become `client = Client(LocalCluster())` with the LocalCluster of dask_native.
Every answer is checked against pandas; every step prints its time beside that of the tutorial's author.
`--scheduler stock` runs the same on Dask's own scheduler and workers, `--scheduler both` on ours and Dask's in turn, and compares;
`--scheduler mixed` on our scheduler with Dask's workers.
"""

import argparse
import functools
import os
import pathlib
import sys
import time
import warnings

# pandas announces that the tutorial's way to join three columns into a date will go away; here and in the workers.
PANDAS_WARNING = "Support for nested sequences for 'parse_dates'"
os.environ.setdefault("PYTHONWARNINGS", f"ignore:{PANDAS_WARNING}:FutureWarning")
warnings.filterwarnings("ignore", PANDAS_WARNING, FutureWarning)

import dask
import dask.dataframe as dd
import distributed
from dask import delayed
from dask.distributed import Client

import dask_native
import flights_answers
from report import Report, record_complaints

LOCAL_CLUSTERS = {
    "native": functools.partial(dask_native.LocalCluster, worker="native"),
    "mixed": dask_native.LocalCluster,
    "stock": distributed.LocalCluster,
}
# The tutorial also names "threaded", which Dask no longer knows.
LOCAL_SCHEDULERS = ["threading", "threads", "processes", "single-threaded", "sync", "synchronous"]
ANY = float("inf")
AUTHORS_SECONDS = {"threading": 9.52, "processes": 19.35, "sync": 10.49, "sleeping tasks": 12, "distributed": 8.41}


def inc(x, seconds=5):
    time.sleep(seconds)
    return x + 1


def dec(x, seconds=3):
    time.sleep(seconds)
    return x - 1


def add(x, y, seconds=7):
    time.sleep(seconds)
    return x + y


def choose_schedulers(report):
    """Cells 1: all names of Dask's schedulers, chosen for one call, for a block, and for everything that follows."""
    x = delayed(sum)([1, 2, 3])
    for name in LOCAL_SCHEDULERS:
        with report.step(f'x.compute(scheduler="{name}")') as step:
            step.check(x.compute(scheduler=name), 6)
    with report.step('with dask.config.set(scheduler="processes")') as step, dask.config.set(scheduler="processes"):
        step.check(x.compute(), 6)
    with report.step('dask.config.set(scheduler="threads")') as step:
        dask.config.set(scheduler="threads")
        step.check(x.compute(), 6)
        dask.config.set(scheduler=None)


def read_flights(folder):
    """Cells 2 and 3: ten CSV files as one dataframe; the types of three columns cannot be guessed from the first file."""
    return dd.read_csv(
        os.path.join(folder, "*.csv"),
        parse_dates={"Date": [0, 1, 2]},
        dtype={"TailNum": object, "CRSElapsedTime": float, "Cancelled": bool},
    )


def compute_locally(report, largest_delay, answers):
    """Cell 5: the same question to three schedulers of one process."""
    for name in ["threading", "processes", "sync"]:
        with report.step(f"largest_delay, {name}", AUTHORS_SECONDS[name]) as step:
            step.check(largest_delay.compute(scheduler=name), answers["largest_delay"])


def add_while_sleeping():
    """Cell 8: inc and dec sleep at the same time, so that all is done after 12 seconds, not 15."""
    return delayed(add)(delayed(inc)(1), delayed(dec)(2)).compute()


def cluster_cells(df, largest_delay, answers):
    """Cells 6 to 10, computed by whatever client is the default: (what, the author's seconds, how, pandas' answer, how often at most)."""
    flown = df[~df.Cancelled]
    sleeps, distributed_s = AUTHORS_SECONDS["sleeping tasks"], AUTHORS_SECONDS["distributed"]
    return [
        ('x.compute(scheduler="distributed")', None, lambda: delayed(sum)([1, 2, 3]).compute(scheduler="distributed"), 6, ANY),
        ("add(inc(1), dec(2)), which sleep 5, 3 and 7 s", sleeps, add_while_sleeping, 3, 1),
        ("largest_delay, distributed", distributed_s, largest_delay.compute, answers["largest_delay"], ANY),
        ("how many rows?  len(df)", None, lambda: len(df), answers["rows"], ANY),
        ("how many were not cancelled?  len(df[~df.Cancelled])", None, lambda: len(flown), answers["flown"], ANY),
        ("how many from each airport?", None, flown.groupby("Origin").Origin.count().compute, answers["flown_by_origin"], ANY),
        ("mean delay from each airport?", None, flown.groupby("Origin").DepDelay.mean().compute, answers["delay_by_origin"], ANY),
        (
            "mean delay on each day of the week?",
            None,
            df.groupby(df.Date.dt.dayofweek).DepDelay.mean().compute,
            answers["delay_by_weekday"],
            ANY,
        ),
    ]


def compute_on_clusters(report, cells, names, rounds, dashboard_address):
    """Cells 6 to 11: a cluster on this machine becomes the default scheduler, works, and leaves silently.

    With several clusters every cell runs on each of them in turn, so that they are compared under the same load of the machine.
    """
    clients = {}
    report.compares = len(names) > 1
    for name in names:
        report.begin_column(name)
        with report.step("client = Client(LocalCluster())") as step:
            client = clients[name] = Client(LOCAL_CLUSTERS[name](dashboard_address=":0" if clients else dashboard_address))
            step.check(len(client.scheduler_info()["workers"]), len(client.cluster.workers))
        report.note(f"{client.cluster}")
        report.note(f"dashboard: {client.dashboard_link}")
    for number in range(rounds):
        for what, authors_seconds, compute, expected, times in cells:
            for name, client in clients.items():
                if number < times:
                    report.begin_column(name)
                    with client.as_current(), report.step(what, authors_seconds) as step:
                        step.check(compute(), expected)
    for name, client in clients.items():
        report.begin_column(name)
        with report.step("client.shutdown()"):
            client.shutdown()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--scheduler",
        choices=[*LOCAL_CLUSTERS, "both"],
        default="native",
        help="whose scheduler and workers (native: ours; mixed: our scheduler, Dask's workers; stock: Dask's; both: native and stock)",
    )
    parser.add_argument("--folder", default=pathlib.Path(__file__).parent.parent / "data" / "nycflights", type=pathlib.Path)
    parser.add_argument("--rounds", default=1, type=int, help="how often to run the cells on the cluster; the table shows medians")
    parser.add_argument("--dashboard-address", default=":8787", help="where the live page is (default: %(default)s)")
    arguments = parser.parse_args()
    if not any(arguments.folder.glob("*.csv")):
        parser.error(f"no CSV files in {arguments.folder}: make them with examples/make_flights.py")

    complaints = record_complaints()
    report = Report()
    with report.step("the answers, from pandas (kept for the next time)"):
        answers = flights_answers.load(arguments.folder)
    choose_schedulers(report)
    with report.step("df = dd.read_csv(...)"):
        df = read_flights(arguments.folder)
    largest_delay = df[~df.Cancelled].groupby("Origin").DepDelay.mean().max()
    report.note(f"largest_delay is lazy: {largest_delay!r:.60}...")
    compute_locally(report, largest_delay, answers)

    names = ["stock", "native"] if arguments.scheduler == "both" else [arguments.scheduler]
    compute_on_clusters(report, cluster_cells(df, largest_delay, answers), names, arguments.rounds, arguments.dashboard_address)
    report.finish(complaints)
    return 0 if report.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
