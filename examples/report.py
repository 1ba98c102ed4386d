"""What the tutorial prints: one line per step while it runs, each answer checked, and a table when two schedulers are compared."""

import contextlib
import logging
import math
import statistics
import sys
import threading
import time

import pandas as pd

NAME_WIDTH = 60
TICK_INTERVAL_S = 0.5


def record_complaints():
    """Everything that Dask logs as a warning or worse from now on, in a list that grows. A busy dashboard port is no complaint."""
    complaints = []

    def record(entry):
        text = entry.getMessage()
        if "already in use" not in text:
            complaints.append(f"{entry.levelname} {entry.name}: {text}")

    handler = logging.Handler(logging.WARNING)
    handler.emit = record
    for name in ("distributed", "tornado", "asyncio"):
        logging.getLogger(name).addHandler(handler)
    return complaints


def is_same(answer, expected):
    """True if an answer of Dask is pandas' answer, up to the order in which partial sums were added."""
    if isinstance(answer, pd.Series):
        answer = {str(label): value for label, value in answer.to_dict().items()}
    if isinstance(expected, dict):
        return answer.keys() == expected.keys() and all(is_same(answer[label], expected[label]) for label in expected)
    return math.isclose(answer, expected, rel_tol=1e-9)


def shown(answer):
    if isinstance(answer, pd.Series):
        return "  ".join(f"{label} {shown(value)}" for label, value in answer.to_dict().items())
    return f"{answer:.2f}" if isinstance(answer, float) else f"{answer:,}"


class Step:
    """One cell while it runs. `check` compares its answer with the expected one."""

    def __init__(self):
        self.answer = ""
        self.is_right = True

    def check(self, answer, expected):
        self.answer, self.is_right = shown(answer), is_same(answer, expected)
        if not self.is_right:
            self.answer += f"   WRONG, expected {expected}"


class Report:
    """Prints the steps and remembers their seconds by column (whose scheduler) and name."""

    def __init__(self):
        self.is_good = True
        self.compares = False
        self._columns = {}
        self._column, self._prefix = "local", ""
        self._began = time.perf_counter()
        print(f"{'step':{NAME_WIDTH}} {'here':>8}  {'author':>7}  answer")

    def begin_column(self, name):
        """The steps that follow are of this column: a heading says so, or each step when columns take turns."""
        if self.compares:
            self._prefix = f"{name:6} "
        elif name != self._column:
            print(f"\n-- on {'our' if name == 'native' else 'the stock'} scheduler")
        self._column = name

    def note(self, text):
        print(f"   {text}")

    @contextlib.contextmanager
    def step(self, name, authors_seconds=None):
        step, began = Step(), time.perf_counter()
        label = self._prefix + name
        with _clock(label):
            yield step
        seconds = time.perf_counter() - began
        authors = "" if authors_seconds is None else f"{authors_seconds:.2f} s"
        print(f"{label:{NAME_WIDTH}} {seconds:6.2f} s  {authors:>7}  {step.answer}", flush=True)
        self.is_good &= step.is_right
        self._columns.setdefault(self._column, {}).setdefault(name, []).append(seconds)

    def finish(self, complaints):
        if {"native", "stock"} <= self._columns.keys():
            self._compare()
        for complaint in complaints:
            print(f"   {complaint}")
        self.is_good &= not complaints
        verdict = "all answers are pandas' answers, and nothing was logged in red" if self.is_good else "NOT as it should be: see above"
        print(f"\n{time.perf_counter() - self._began:.0f} s in all: {verdict}")

    def _compare(self):
        """Medians, and how far apart the quickest and the slowest run were."""
        print(f"\n{'step':{NAME_WIDTH}} {'ours':>8}  {'stock':>8}  ratio   ours min-max     stock min-max")
        for name, stock in self._columns["stock"].items():
            ours = self._columns["native"][name]
            medians = statistics.median(ours), statistics.median(stock)
            ranges = f"{min(ours):5.2f}-{max(ours):5.2f} s    {min(stock):5.2f}-{max(stock):5.2f} s"
            print(f"{name:{NAME_WIDTH}} {medians[0]:6.2f} s  {medians[1]:6.2f} s  {medians[0] / medians[1]:5.2f}   {ranges}")


@contextlib.contextmanager
def _clock(name):
    """Shows the running step and its seconds on a terminal; elsewhere nothing, so that logs stay readable."""
    if not sys.stdout.isatty():
        yield
        return
    done, began = threading.Event(), time.perf_counter()

    def tick():
        while not done.wait(TICK_INTERVAL_S):
            print(f"{name:{NAME_WIDTH}} {time.perf_counter() - began:4.0f} ...", end="\r", flush=True)

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
