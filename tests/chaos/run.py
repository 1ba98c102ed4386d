"""Workers under fire: seeded programs from an unmodified client on our scheduler, whose workers are killed, stopped, drained and cut off
meanwhile. Each answer must be right, or an error that Dask would give; nothing may hang, and nothing may be left behind.

    python tests/chaos/run.py --seeds 50          seeds 0 to 49
    python tests/chaos/run.py --first 17          seed 17 alone, in full words

A seed decides the cluster, the programs and the faults. What the processes make of it differs from run to run: a seed that failed once is
the first place to look, not a proof.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import gc
import os
import pathlib
import random
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

FOLDER = pathlib.Path(__file__).parent
for path in (FOLDER, FOLDER.parent / "compat", FOLDER.parent.parent / "python"):
    if str(path) not in sys.path:
        sys.path.insert(0, str(path))

import workloads  # noqa: E402
from cluster import Cluster  # noqa: E402
from distributed import Client, KilledWorker  # noqa: E402
from faults import Members  # noqa: E402

ROUND_LIMIT_S = 180  # a program that has not come to its end by then hangs
RESULT_LIMIT_S = 60
RELEASE_LIMIT_S = 60
DUMP_LIMIT_S = 60
POLL_S = 0.02
ALLOWED_FAILURES = 3  # Dask's default
SHORT_TTL_S = 3
# What no log of ours may say.
FORBIDDEN = ("Invalid worker state", "InvalidTransition", "CHECK failed", "go round in a circle", "is out of step", "Fatal Python error")


class Failure(Exception):
    """The seed failed: a hang, a wrong answer, an error that Dask would not give, something left behind."""


class Run:
    def __init__(self, seed, folder, say):
        self.seed = seed
        self.random = random.Random(seed)
        self.folder = pathlib.Path(folder)
        self.say = say
        self.start = time.monotonic()
        self.starts = self.folder / "starts"
        self.starts.touch()
        self.allowed = []  # errors that Dask would give, too

    def log(self, text):
        self.say(f"  {time.monotonic() - self.start:6.1f} s {self.marks():5} starts  {text}")

    def marks(self):
        return self.starts.stat().st_size

    def run(self):
        ttl_s = SHORT_TTL_S if self.random.random() < 0.25 else None
        environment = {
            "PYTHONPATH": os.pathsep.join([str(FOLDER), str(FOLDER.parent / "compat")]),
            "CHAOS_STARTS": str(self.starts),
            "DASK_DISTRIBUTED__WORKER__VALIDATE": "true",
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(ALLOWED_FAILURES),
        }
        if ttl_s:
            environment["DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL"] = f"{ttl_s}s"
        with contextlib.ExitStack() as stack:
            self.cluster = Cluster(self.folder, **environment)
            stack.callback(self.cluster.end)
            self.members = Members(self.cluster, self.random, self.log, ttl_s, stock=self.random.choice([0, 0, 0, 0.4]))
            stack.callback(self.members.end)
            self.least = self.random.randrange(2, 4)
            self.members.keep(self.least)
            self.client = stack.enter_context(Client(self.cluster.address))
            self.client.wait_for_workers(self.least, timeout=60)
            for number in range(2):
                self.round(number)
            self.check_logs()

    # ---- one round: programs at once, faults at their time ----

    def round(self, number):
        makers = [self.random.choice(workloads.ALL) for _ in range(self.random.choice([1, 1, 2]))]
        programs = [maker(self.client, self.random, f"{self.seed}-{number}-{i}") for i, maker in enumerate(makers)]
        tasks = sum(program.tasks for program in programs)
        before = self.marks()
        faults = sorted(before + self.random.random() * tasks for _ in range(self.random.randrange(1, 5)))
        self.log(f"round {number}: {', '.join(program.name for program in programs)}, {tasks} tasks, {len(faults)} faults")
        deadline = time.monotonic() + ROUND_LIMIT_S
        try:
            while True:
                self.members.go_on()
                self.members.keep(self.least)
                while faults and self.marks() >= faults[0]:
                    faults.pop(0)
                    self.members.strike()
                open_ones = [str(future) for program in programs for future, _ in program.wanted if not self.is_settled(program, future)]
                if not open_ones:
                    break
                if time.monotonic() > deadline:
                    raise Failure(f"hang: {len(open_ones)} futures have no end, the first is {open_ones[0]}")
                if not self.cluster.scheduler.is_running:
                    raise Failure("the scheduler has ended")
                time.sleep(POLL_S)
            while programs:
                self.check(programs.pop())
            self.check_release()
        except Failure:
            self.dump()
            raise

    def is_settled(self, program, future):
        return future.status in ("finished", "error", "cancelled") or (future.status == "lost" and program.may_be_lost)

    # ---- judging ----

    def check(self, program):
        pool = ThreadPoolExecutor(1)
        for future, expected in program.wanted:
            # On a thread: workers may die while it is fetched, and those that were stopped must go on.
            fetched = pool.submit(self.result_of, program, future)
            while True:
                self.members.go_on()
                self.members.keep(self.least)
                with contextlib.suppress(concurrent.futures.TimeoutError):
                    kind, value = fetched.result(POLL_S * 5)
                    break
            if kind == "hang":
                raise Failure(f"{program.name}: hang while fetching {future}")
            if kind == "error":
                if not self.is_allowed(program, value):
                    raise Failure(f"{program.name}: {future.key!r} ended with {type(value).__name__}: {value}") from value
                self.allowed.append(type(value).__name__)
                continue
            try:
                right = program.same(value, expected)
            except Exception as e:
                raise Failure(f"{program.name}: wrong answer of {future.key!r}: {e}") from e
            if not right:
                raise Failure(f"{program.name}: wrong answer of {future.key!r}: {str(value)[:200]} instead of {str(expected)[:200]}")
        pool.shutdown()

    def result_of(self, program, future):
        deadline = time.monotonic() + RESULT_LIMIT_S
        while time.monotonic() < deadline:
            if program.may_be_lost and future.status == "lost":
                return "error", concurrent.futures.CancelledError("lost")
            try:
                return "value", future.result(timeout=1)
            except TimeoutError:
                continue
            except (Exception, concurrent.futures.CancelledError) as e:
                return "error", e.with_traceback(None)  # the client keeps it, and with it what our frames hold
        return "hang", None

    def is_allowed(self, program, error):
        if isinstance(error, KilledWorker):
            return self.members.deaths > ALLOWED_FAILURES
        cancelled = isinstance(error, concurrent.futures.CancelledError) or "Cancelled" in type(error).__name__
        return cancelled and program.may_be_lost and self.members.deaths > 0

    def check_release(self):
        """Nothing is wanted any more: nothing may stay."""
        gc.collect()
        deadline = time.monotonic() + RELEASE_LIMIT_S
        while True:
            self.members.go_on()
            self.members.keep(self.least)
            held = {worker: keys for worker, keys in self.client.has_what().items() if keys}
            processing = {worker: keys for worker, keys in self.client.processing().items() if keys}
            if not held and not processing:
                return
            if time.monotonic() > deadline:
                raise Failure(f"left behind: in memory {str(held)[:500]}, processing {str(processing)[:500]}")
            time.sleep(POLL_S * 5)

    def check_logs(self):
        for file in self.folder.glob("*.log"):
            for line in file.read_text(errors="replace").splitlines():
                if any(words in line for words in FORBIDDEN):
                    raise Failure(f"{file.name}: {line}")

    def dump(self):
        """What somebody needs to find out why: the cluster's state and the ends of the logs."""

        def write():
            self.client.dump_cluster_state(str(self.folder / "dump"))

        pool = ThreadPoolExecutor(1)
        try:
            pool.submit(write).result(DUMP_LIMIT_S)
        except Exception as e:
            self.say(f"  no dump of the cluster: {type(e).__name__}: {e}")
        pool.shutdown(wait=False)
        for file in sorted(self.folder.glob("*.log")):
            self.say(f"  ---- {file.name}")
            for line in file.read_text(errors="replace").splitlines()[-15:]:
                self.say(f"  {line[:300]}")


def run_seed(seed, say):
    """None, or what went wrong. The folder of a failed seed stays."""
    folder = tempfile.mkdtemp(prefix=f"chaos-{seed}-")
    one = Run(seed, folder, say)
    try:
        one.run()
    except Failure as e:
        return f"seed {seed}: {e}\n  again: {pathlib.Path(__file__).name} --first {seed}; logs and dump: {folder}", one
    except Exception as e:
        return f"seed {seed}: {type(e).__name__}: {e}\n  logs: {folder}", one
    for path in sorted(pathlib.Path(folder).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    pathlib.Path(folder).rmdir()
    return None, one


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    given = parser.parse_args()
    failed, allowed = [], collections.Counter()
    begin = time.monotonic()
    for seed in range(given.first, given.first + given.seeds):
        lines = []
        start = time.monotonic()
        wrong, one = run_seed(seed, print if given.seeds == 1 else lines.append)
        allowed.update(one.allowed)
        deaths = one.members.deaths if hasattr(one, "members") else 0
        seconds = time.monotonic() - start
        verdict = "FAILED" if wrong else "right"
        print(f"seed {seed}: {verdict}, {deaths} deaths, {len(one.allowed)} errors that Dask gives, {seconds:.0f} s", flush=True)
        if wrong:
            failed.append(wrong)
            print(*lines, wrong, sep="\n", flush=True)
    print(
        f"{given.seeds} seeds in {time.monotonic() - begin:.0f} s: {len(failed)} failed; errors that Dask gives: {dict(allowed) or 'none'}"
    )
    for wrong in failed:
        print(wrong)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
