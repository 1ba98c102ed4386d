"""The C++ dataframe against pandas: random CSV files from seeds, about a hundred and fifty questions about each, the same answers.

The files are what files are: quotes with separators, newlines and quotes in them, \\r\\n, byte order marks, blank lines, short rows, no
newline at the end, missing values in all of pandas' spellings, several files, and blocks so small that most rows meet a boundary.
"""

import csv
import io
import json
import math
import pathlib
import random
import subprocess

import numpy as np
import pandas as pd
import pytest

ROOT = pathlib.Path(__file__).parent.parent.parent
PROGRAM = ROOT / "build" / "tests" / "dataframe-answers"
SEEDS = 504
BATCHES = 24
MISSING = ["", "NA", "NaN", "nan", "null", "None", "N/A", "<NA>", "#N/A", "NULL", "n/a", "-nan"]
TEXTS = [
    "a",
    "b",
    "word",
    "longer than eight bytes",
    "longer than eight",
    "ä",
    "日本語",
    "x,y",
    "x;y",
    'say "hi"',
    "two\nlines",
    " blank ",
    '"',
    "true",
]
KEYS = ["a", "b", "c", "dd"]
TYPES = {"i": "int64", "f": "float64", "n": "float64", "b": "bool", "s": "string", "k": "string"}
INT64, FLOAT64, BOOLEAN, UTF8, TIMESTAMP = range(5)

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="build/tests/dataframe-answers is not built (no Arrow)")


def random_number(rng):
    kind = rng.random()
    if kind < 0.4:
        return str(rng.randint(-50, 50) / rng.choice([1, 2, 4, 10]))
    if kind < 0.6:
        return str(rng.randint(-1000, 1000))
    if kind < 0.8:
        return repr(rng.uniform(-1e6, 1e6))
    return rng.choice(["1e3", "-2.5E-3", "0", "-0.0", ".5", "5.", "+7", " 3 ", "123456789.125", "1.5", "0.1", "12345678", "00012.50"])


def maybe_missing(rng, share, text):
    return rng.choice(MISSING) if rng.random() < share else text


def random_row(rng, missing):
    return {
        "i": str(rng.randint(-20, 20)) if rng.random() < 0.9 else rng.choice(["+5", "007", "123456789012", "-98765432"]),
        "f": maybe_missing(rng, missing, random_number(rng)),
        "n": maybe_missing(rng, missing, str(rng.randint(0, 5))),
        "b": rng.choice(["True", "False", "true", "FALSE"]),
        "s": maybe_missing(rng, missing, rng.choice(TEXTS)),
        "k": maybe_missing(rng, missing, rng.choice(KEYS)),
        "y": str(rng.randint(1990, 1999)),
        "m": str(rng.randint(1, 12)),
        "d": str(rng.randint(1, 28)),
        "unused": rng.choice(["", "?", '"', "1", "x\ny"]),
    }


class Case:
    """The files of one seed, and what pandas knows about them."""

    def __init__(self, seed, folder):
        self.rng = rng = random.Random(seed)
        self.folder = folder
        folder.mkdir()
        self.names = ["i", "f", "n", "b", "s", "k", "y", "m", "d"]
        if rng.random() < 0.5:
            self.names.append("unused")
        rng.shuffle(self.names)
        self.sep = rng.choice([",", ",", ";", "|", "\t"])
        self.infers = rng.random() < 0.3
        missing = rng.choice([0, 0.1, 0.5]) if not self.infers else 0.2
        for number in range(rng.choice([1, 1, 2, 3])):
            rows = [random_row(rng, missing) for _ in range(rng.choice([0, 1, 5, 40, 120]) if not self.infers or number else 60)]
            (folder / f"{number}.csv").write_bytes(self.encode(rows))
        self.keys = rng.sample(["k", "s", "i", "b", "n", "Date"], 2)
        self.question = {
            "files": str(folder / "*.csv"),
            "blocksize": rng.choice([0, 1, 40, 300, 5000]),
            "sep": self.sep,
            "scheduler": rng.choice(["sync", "threads"]),
            "dtype": not self.infers,
        }

    def encode(self, rows):
        rng = self.rng
        newline = rng.choice(["\n", "\n", "\r\n"])
        out = io.StringIO()
        quoting = rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
        writer = csv.writer(out, delimiter=self.sep, lineterminator=newline, quoting=quoting)
        writer.writerow(self.names)
        short_rows = rng.random() < 0.2 and self.names[-1] in ("f", "n", "s", "k", "unused")
        for row in rows:
            if rng.random() < 0.05:
                out.write(rng.choice(["", "  "]) + newline)
            values = [row[name] for name in self.names]
            writer.writerow(values[:-1] if short_rows and rng.random() < 0.3 else values)
        text = out.getvalue()
        if rng.random() < 0.2:
            text = text.removesuffix(newline)
        return (b"\xef\xbb\xbf" if rng.random() < 0.2 else b"") + text.encode()

    def read(self):
        frames = [
            pd.read_csv(path, sep=self.sep, dtype=TYPES, float_precision="round_trip", encoding="utf-8-sig")
            for path in sorted(self.folder.glob("*.csv"))
        ]
        df = pd.concat(frames, ignore_index=True)
        dates = pd.to_datetime(df[["y", "m", "d"]].astype("int64").rename(columns={"y": "year", "m": "month", "d": "day"}))
        df.insert(0, "Date", dates)
        return df.drop(columns=["y", "m", "d", "unused"], errors="ignore")


def plain(value):
    """A value of pandas as the program writes it."""
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, pd.Timestamp):
        return str(value.date()) if value == value.normalize() else str(value)
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else ("inf" if value > 0 else "-inf")
    return str(value)


def pairs(series):
    return [[plain(label), plain(value)] for label, value in series.items()]


def rows(df):
    return {name: [plain(value) for value in df[name]] for name in df.columns}


def extreme(values, name):
    """min or max; None for nothing (pandas cannot compare pd.NA with a text)."""
    values = values.dropna()
    return None if len(values) == 0 else getattr(values, name)()


def true(mask):
    return mask.fillna(False).astype(bool)


def answers_of(df, keys):
    """pandas' answers to the questions of dataframe_answers_main.cc; of the questions that group, those about `keys`."""
    yield (
        "types",
        {
            name: TIMESTAMP if name == "Date" else {"int64": INT64, "float64": FLOAT64, "bool": BOOLEAN}.get(str(df[name].dtype), UTF8)
            for name in df
        },
    )
    yield "len", len(df)
    yield "rows", rows(df)
    yield "head", rows(df.head(3))
    yield "two columns", rows(df[["k", "f"]])
    for name in ["i", "f", "n", "b", "s", "k", "Date"]:
        for what in ["min", "max"]:
            yield f"{what} {name}", plain(extreme(df[name], what))
        yield f"count {name}", int(df[name].count())
        if name not in ("s", "k", "Date"):
            yield f"sum {name}", plain(df[name].sum())
            yield f"mean {name}", plain(df[name].mean())
    i, f, n, b, s, k, date = (df[name] for name in ["i", "f", "n", "b", "s", "k", "Date"])
    for name, mask in {
        "f > 0": f > 0, "b": b, "!b": ~b, "i <= 10 & b": (i <= 10) & b, "!b | n == 3": ~b | (n == 3), "f != 1.5": f != 1.5, "1 < n": n > 1,
        "k == a": k == "a", "k != a": k != "a", "!(k == a)": ~(k == "a"), "k == a | b": (k == "a") | b, "s > k": s > k,
        "date >= 1995": date >= "1995-01-01", "isna": f.isna() | k.isna(), "notna": s.notna() & date.notna(), "i == n": i == n,
    }.items():  # fmt: skip
        fewer = df[true(mask)]
        yield f"where {name}", [len(fewer), plain(fewer.i.sum()), plain(fewer.f.mean())]
    yield "twice", rows(df.loc[(f > 0) & b, ["i", "s"]])
    with np.errstate(all="ignore"):
        yield "i + f", plain((i + f).sum())
        yield "i * 2 - n", plain((i * 2 - n).mean())
        yield "f / i", int((f / i).count())
        yield "-i", plain((-i).min())
        yield "i / 2", plain((i / 2).max())
        yield "i - 1 > f", int((i - 1 > f).sum())
        yield "b + i", plain((b.astype("int64") + i).sum())
        yield "1 - n", plain((1 - n).sum())
    yield "year", plain(date.dt.year.sum())
    yield "month", plain(date.dt.month.mean())
    yield "day", plain(date.dt.day.max())
    yield "dayofweek", plain(date.dt.dayofweek.sum())
    yield "dayofyear", plain(date.dt.dayofyear.sum())
    for key in keys:
        groups = df.groupby(key)
        yield f"size by {key}", pairs(groups.size())
        for name in ["f", "i", "b", "s"]:
            column = groups[name]
            for what in ["count", "min", "max"] if name == "s" else ["count", "min", "max", "sum", "mean"]:
                if what in ("min", "max") and name == "s":
                    yield f"{what} s by {key}", [[plain(label), plain(extreme(part, what))] for label, part in column]
                else:
                    yield f"{what} {name} by {key}", pairs(getattr(column, what)())
    flown = df[~b]
    yield "mean f of !b by k", pairs(flown.groupby("k").f.mean())
    yield "largest mean", plain(flown.groupby("k").f.mean().max())
    yield "mean f by dayofweek", pairs(df.groupby(date.dt.dayofweek).f.mean())
    yield "mean f of !b by year", pairs(flown.groupby(date.dt.year).f.mean())
    yield "sum i by i > 5", pairs(df.groupby(i > 5).i.sum())
    sums = df.groupby("k").i.sum()
    yield "sums over 10", pairs(sums[sums > 10])
    yield "mean of sums over 10", plain(sums[sums > 10].mean())
    yield "mean by k of means", plain(df.groupby("k").f.mean().mean())


def same(ours, theirs):
    if isinstance(theirs, dict):
        return isinstance(ours, dict) and ours.keys() == theirs.keys() and all(same(ours[name], theirs[name]) for name in theirs)
    if isinstance(theirs, list):
        return isinstance(ours, list) and len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(theirs, int | float) and isinstance(ours, int | float):
        return math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-6)
    return ours == theirs


def infers_otherwise(case):
    """True where pandas' guess over all files would not be ours from the first one's sample: then types have to be given."""
    first = pd.read_csv(case.folder / "0.csv", sep=case.sep, encoding="utf-8-sig")
    kinds = {"i": "iu", "f": "f", "n": "f", "b": "b", "s": "O", "k": "O"}
    return any(first[name].dtype.kind not in kind for name, kind in kinds.items())


def compare(cases):
    """Asks the program about all cases at once and compares each answer."""
    text = "".join(json.dumps(case.question) + "\n" for _, case in cases)
    run = subprocess.run([PROGRAM], input=text, capture_output=True, text=True, timeout=100)
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert len(lines) == len(cases)
    for (seed, case), line in zip(cases, lines):
        ours = json.loads(line)
        assert "error" not in ours, f"seed {seed}: {ours['error']}"
        expected = dict(answers_of(case.read(), case.keys))
        assert ours.keys() >= expected.keys(), f"seed {seed}"
        for question, theirs in expected.items():
            assert same(ours[question], theirs), f"seed {seed}, {question}: {ours[question]} instead of pandas' {theirs}; {case.question}"


def make_case(seed, folder):
    case = Case(seed, folder / str(seed))
    if case.infers and infers_otherwise(case):
        case.question["dtype"] = True
    return seed, case


@pytest.mark.parametrize("batch", range(BATCHES))
def test_the_same_answers_as_pandas(batch, tmp_path):
    compare([make_case(seed, tmp_path) for seed in range(batch, SEEDS, BATCHES)])


@pytest.mark.parametrize("scheduler", ["processes", "distributed"])
def test_the_same_answers_in_other_processes(scheduler, tmp_path):
    """Tasks and tables travel as bytes there."""
    seed, case = make_case(SEEDS, tmp_path)
    case.question.update(scheduler=scheduler, blocksize=2000)
    compare([(seed, case)])
