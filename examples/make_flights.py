"""Makes a look-alike of the nycflights data set: ten yearly CSV files, 1990 to 1999, 23 columns, 2.6 million rows, about 245 MB.

Seeded: the same arguments give the same bytes. Files that are there are left alone, so this costs nothing the second time.
What the tutorial relies on is true of it: flights start at EWR, LGA or JFK; about 2.7 % are cancelled and have no delays; TailNum, AirTime,
TaxiIn and TaxiOut are empty before 1995 and CRSElapsedTime has gaps after, so guessing types from the first file goes wrong.
"""

import argparse
import concurrent.futures
import os
import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

YEARS = range(1990, 2000)
ROWS_PER_FILE = 261_189
SEED = 20
CANCELLED_SHARE = 0.027
FIRST_YEAR_WITH_TAIL_NUMBERS = 1995

ORIGINS = ["EWR", "LGA", "JFK"]
ORIGIN_SHARES = [0.45, 0.38, 0.17]
MEAN_DELAY_MINUTES = [10.3, 7.4, 9.3]
CARRIERS = ["US", "AA", "DL", "UA", "CO", "NW", "TW", "HP", "PA"]
DESTINATIONS = {
    "PIT": 319, "ORD": 719, "BOS": 200, "DCA": 199, "ATL": 746, "MIA": 1096, "LAX": 2454, "SFO": 2565, "DFW": 1372, "DTW": 488,
    "CLT": 529, "MCO": 938, "IAH": 1400, "DEN": 1605, "STL": 872, "MSP": 1008, "CLE": 404, "RDU": 416, "BUF": 282, "PHX": 2133, "SEA": 2402,
    "SJU": 1608,
}  # fmt: skip


def minutes_to_clock(minutes):
    """Minutes since midnight as the data set writes times: 16:21 is 1621."""
    return minutes % 1440 // 60 * 100 + minutes % 60


def whole(values, missing=None):
    """Integers as a column; rows where `missing` is true are empty."""
    return pa.array(values, mask=missing)


def decimal(values, missing=None):
    """Integers as a column written with one decimal, as the data set does: 46.0."""
    return pc.binary_join_element_wise(pc.cast(whole(values, missing), pa.string()), "0", ".")


def choice(rng, names, rows, shares=None):
    """A column of `rows` names, and the numbers of the names."""
    codes = rng.choice(len(names), rows, p=shares)
    return pa.array(names).take(pa.array(codes)), codes


def flights(year, rows, seed):
    """One year as an Arrow table."""
    rng = np.random.default_rng([seed, year])
    first_day, end = np.datetime64(f"{year}-01-01"), np.datetime64(f"{year + 1}-01-01")
    dates = first_day + np.sort(rng.integers(0, (end - first_day).astype(int), rows))
    months = dates.astype("datetime64[M]")
    origin, origin_code = choice(rng, ORIGINS, rows, ORIGIN_SHARES)
    carrier, _ = choice(rng, CARRIERS, rows)
    destination, destination_code = choice(rng, list(DESTINATIONS), rows)
    miles = np.array(list(DESTINATIONS.values()))[destination_code]

    cancelled = rng.random(rows) < CANCELLED_SHARE
    no_arrival = cancelled | (rng.random(rows) < 0.002)
    departure = rng.integers(6 * 60, 23 * 60, rows)
    planned = 40 + miles // 8 + rng.integers(-5, 15, rows)
    departure_delay = (rng.exponential(np.array(MEAN_DELAY_MINUTES)[origin_code] + 6.0, rows) - 6.0).astype(np.int64)
    elapsed = planned + rng.integers(-15, 15, rows)
    arrival_delay = departure_delay + elapsed - planned

    recorded = year >= FIRST_YEAR_WITH_TAIL_NUMBERS
    untracked = no_arrival if recorded else np.ones(rows, dtype=bool)
    unplanned = (rng.random(rows) < 0.0005) if recorded else None
    taxi_in, taxi_out = rng.integers(2, 12, rows), rng.integers(5, 30, rows)
    tail_digits = pc.cast(whole(rng.integers(100, 999, rows), None if recorded else untracked), pa.string())
    tail_number = pc.binary_join_element_wise("N", tail_digits, carrier, "")

    return pa.table({
        "Year": whole(np.full(rows, year)),
        "Month": whole(months.astype(np.int64) % 12 + 1),
        "DayofMonth": whole((dates - months).astype(np.int64) + 1),
        "DayOfWeek": whole((dates.astype(np.int64) + 3) % 7 + 1),
        "DepTime": decimal(minutes_to_clock(departure + departure_delay), cancelled),
        "CRSDepTime": whole(minutes_to_clock(departure)),
        "ArrTime": decimal(minutes_to_clock(departure + departure_delay + elapsed), no_arrival),
        "CRSArrTime": whole(minutes_to_clock(departure + planned)),
        "UniqueCarrier": carrier,
        "FlightNum": whole(rng.integers(1, 2500, rows)),
        "TailNum": tail_number,
        "ActualElapsedTime": decimal(elapsed, no_arrival),
        "CRSElapsedTime": whole(planned, unplanned),
        "AirTime": decimal(elapsed - taxi_in - taxi_out, untracked),
        "ArrDelay": decimal(arrival_delay, no_arrival),
        "DepDelay": decimal(departure_delay, cancelled),
        "Origin": origin,
        "Dest": destination,
        "Distance": decimal(miles),
        "TaxiIn": decimal(taxi_in, untracked),
        "TaxiOut": decimal(taxi_out, untracked),
        "Cancelled": whole(cancelled.astype(np.int8)),
        "Diverted": whole((no_arrival & ~cancelled).astype(np.int8)),
    })  # fmt: skip


def make_file(folder, year, rows, seed):
    """Writes one year, whole or not at all. Says whether there was anything to do."""
    path = folder / f"{year}.csv"
    if path.exists():
        return False
    unfinished = path.with_suffix(".unfinished")
    table = flights(year, rows, seed)
    with unfinished.open("wb") as file:
        file.write((",".join(table.column_names) + "\n").encode())
        pyarrow.csv.write_csv(table, file, pyarrow.csv.WriteOptions(include_header=False, quoting_style="none"))
    unfinished.replace(path)
    return True


def make_flights(folder, rows=ROWS_PER_FILE, seed=SEED, report=print):
    """Makes the files that are missing in `folder`."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        made = pool.map(lambda year: (year, make_file(folder, year, rows, seed)), YEARS)
        for year, is_new in made:
            if is_new:
                report(f"  {year}.csv  {rows:,} flights")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", default=pathlib.Path(__file__).parent.parent / "data" / "nycflights", type=pathlib.Path)
    parser.add_argument("--rows", default=ROWS_PER_FILE, type=int, help="rows in each of the ten files (default: %(default)s)")
    parser.add_argument("--seed", default=SEED, type=int)
    arguments = parser.parse_args()
    if arguments.rows < 1:
        parser.error("--rows must be at least 1")
    make_flights(arguments.folder, arguments.rows, arguments.seed)


if __name__ == "__main__":
    main()
