"""Measurements as a table: medians, spread, and the first contender over each other one."""

import statistics

# Measured name -> (heading, factor from the stored unit, decimals).
MEASURES = {
    "makespan": ("makespan, µs/task", 1e6, 1),
    "scheduler_cpu": ("scheduler CPU, µs/task", 1e6, 1),
    "helpers_cpu": ("its helpers' CPU, µs/task", 1e6, 1),
    "rss": ("scheduler memory, bytes/task", 1, 0),
    "client_cpu": ("client CPU, µs/task", 1e6, 1),
    "workers_cpu": ("zero workers' CPU, µs/task", 1e6, 1),
}


def summary(values):
    """Median, least and largest."""
    return statistics.median(values), min(values), max(values)


def _cell(values, factor, decimals):
    if not values:
        return "-"
    median, least, largest = (value * factor for value in summary(values))
    return f"{median:,.{decimals}f} [{least:,.{decimals}f}..{largest:,.{decimals}f}]"


def _ratio(base, other):
    if not base or not other:
        return ""
    a, b = statistics.median(base), statistics.median(other)
    return f"{a / b:.1f}x" if b > 0 and a > 0 else ""


def table(results, names):
    """`results[workload][contender][measure]` is a list of values; `names` are the contenders, the first is the yardstick."""
    rows = [["workload", "measure", names[0]]]
    for name in names[1:]:
        rows[0] += [name, f"{names[0]}/{name}"]
    for workload, by_contender in results.items():
        for measure, (heading, factor, decimals) in MEASURES.items():
            base = by_contender.get(names[0], {}).get(measure, [])
            row = [workload, heading, _cell(base, factor, decimals)]
            for name in names[1:]:
                values = by_contender.get(name, {}).get(measure, [])
                row += [_cell(values, factor, decimals), _ratio(base, values)]
            rows.append(row)
            workload = ""
    return aligned(rows)


def aligned(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        lines.append(
            "  ".join(cell.ljust(width) if i < 2 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))).rstrip()
        )
        if number == 0:
            lines.append("  ".join("-" * width for width in widths))
    return "\n".join(lines)
