"""The dashboards of monitoring/: their queries, and the metrics that these name."""

import json
import re

from rig import ROOT

FUNCTIONS = {
    "sum",
    "rate",
    "increase",
    "max",
    "min",
    "by",
    "on",
    "avg",
    "histogram_quantile",
    "label_values",
    "le",
    "unless",
    "absent",
    "time",
}
NAME = re.compile(r"\b[a-z_][a-z0-9_]*\b")
QUOTED, BRACES, GROUPING = re.compile(r'"[^"]*"'), re.compile(r"\{[^}]*\}|\[[^\]]*\]"), re.compile(r"\b(?:by|on|without)\s*\([^)]*\)")
VARIABLES = {"$namespace": ".*", "$cluster": ".*", "$__rate_interval": "30s"}


def boards():
    """(file name, dashboard) of each."""
    return [(path.name, json.loads(path.read_text())) for path in sorted((ROOT / "monitoring/dashboards").glob("*.json"))]


def queries(board):
    """(panel's title, query), with everything chosen that a person can choose."""
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            query = target["expr"]
            for variable, value in VARIABLES.items():
                query = query.replace(variable, value)
            yield panel["title"], query


def metrics_of(query):
    """The names of the series that a query reads."""
    bare = GROUPING.sub(" ", BRACES.sub(" ", QUOTED.sub("", query)))
    return set(NAME.findall(bare)) - FUNCTIONS
