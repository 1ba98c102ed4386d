"""Who may include whom: the layers of ARCHITECTURE.md, checked over every C++ file.

A folder includes itself and what ALLOWED names; pure folders no third-party I/O; each third-party library stays behind its folders.
"""

import pathlib
import re
from collections import defaultdict

import pytest

ROOT = pathlib.Path(__file__).parent.parent.parent
PROGRAMS = ("scheduler", "worker", "operator")
SOURCES = ("core", *PROGRAMS, "client", "collections", "dashboard", "benchmarks")

# What a folder's files may include of ours, besides the folder itself. Generated Protobuf headers are under proto/.
ALLOWED = {
    "core/base": set(),
    "core/native": {"core/base", "core/wire"},
    "core/wire": {"core/base"},
    "core/runtime": {"core/base"},
    "core/net": {"core/base", "core/wire", "core/runtime"},
    "core/obs": {"core/base"},
    "scheduler/state": {"core/base"},
    "scheduler/policy": {"core/base", "scheduler/state"},
    "scheduler/machine": {"core/base", "scheduler/state", "scheduler/policy"},
    "scheduler/extensions": {"core/base", "scheduler/state"},
    "scheduler/graph": {"core/*", "scheduler/state", "scheduler/machine", "proto"},
    "dashboard": {"core/base"},
    "scheduler/server": {"core/*", "scheduler/*", "proto", "dashboard"},
    "scheduler": {"core/*", "scheduler/*", "proto"},
    "worker/state": {"core/base"},
    "worker/courier": set(),
    "worker/execute": {"core/*", "worker/courier"},
    "worker/native": {"core/*", "worker/state", "proto"},
    "worker/store": {"core/*", "worker/execute"},
    "worker/memory": {"core/base", "core/runtime"},
    "worker/transfer": {"core/*", "worker/execute", "worker/store"},
    "worker/server": {"core/*", "worker/*", "proto"},
    "worker": {"core/*", "worker/*", "proto"},
    "operator/api": {"core/base"},
    "operator/plan": {"core/base", "operator/api"},
    "operator": {"core/*", "operator/*", "proto"},
    "client": {"core/*", "scheduler/*", "worker/*", "client/*", "dask", "proto"},
    "collections": {"core/*", "client/*", "collections/*", "dask", "proto"},
    "benchmarks": {"core/*", "scheduler/*", "benchmarks/*", "dask", "proto"},
}

# Folders that decide: functions of state, event and time. No clock, socket, thread, file, random source or environment.
PURE = (
    "core/base",
    "core/native",
    "scheduler/state",
    "scheduler/policy",
    "scheduler/machine",
    "scheduler/extensions",
    "worker/state",
    "operator/api",
    "operator/plan",
)
IMPURE_HEADERS = re.compile(
    r"boost/asio.*|boost/beast.*|cpprest/.*|spdlog/.*|yaml-cpp/.*|prometheus/.*|sys/.*|unistd\.h|fcntl\.h|netinet/.*|thread|mutex|fstream"
    r"|random|future|condition_variable|filesystem|csignal|signal\.h|ctime|time\.h"
)

# Third-party headers and the folders or files that may include them, so that any of the libraries can be replaced.
THIRD_PARTY = {
    r"yaml-cpp/": ("core/runtime/", "operator/kube/kubeconfig"),
    r"prometheus/": ("core/obs/",),
    r"spdlog/": ("core/runtime/",),
    r"cpprest/": ("core/net/rest_client",),
    r"boost/beast": ("core/net/",),
    r"boost/asio": ("core/net/", "scheduler/graph/", "benchmarks/"),
    r"google/protobuf": ("scheduler/graph/", "scheduler/server/", "client/", "worker/", "benchmarks/"),
    r"arrow/": ("collections/dataframe/arrow/",),
    r"tsl/robin": ("core/base/key_map.h",),
    r"CLI/": ("core/runtime/command_line.h",),
}

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.MULTILINE)


def source_files():
    return sorted(path for folder in SOURCES for pattern in ("*.h", "*.cc") for path in (ROOT / folder).rglob(pattern))


def includes(path):
    """The file's includes as (is_ours, header)."""
    return [(mark == '"', header) for mark, header in INCLUDE.findall(path.read_text())]


def folder_of(name):
    """The entry of ALLOWED that a file or header belongs to: the longest that is above it."""
    return max((folder for folder in ALLOWED if name.startswith(folder + "/")), key=len, default=name.split("/")[0])


def matches(folder, pattern):
    return folder == pattern or (pattern.endswith("/*") and (folder + "/").startswith(pattern[:-1]))


def name_of(path):
    return str(path.relative_to(ROOT))


def test_there_is_something_to_check():
    assert len(source_files()) > 20


@pytest.mark.parametrize("folder", ALLOWED)
def test_a_folder_includes_only_what_is_below_it(folder):
    wrong = []
    for path in source_files():
        if folder_of(name_of(path)) != folder:
            continue
        for is_ours, header in includes(path):
            target = folder_of(header)
            if is_ours and target != folder and not any(matches(target, pattern) for pattern in ALLOWED[folder]):
                wrong.append(f"{name_of(path)} includes {header}")
    assert not wrong, "\n".join(wrong)


def test_scheduler_worker_and_operator_never_include_each_other():
    for path in source_files():
        own = name_of(path).split("/")[0]
        if own in PROGRAMS:
            others = {header.split("/")[0] for is_ours, header in includes(path) if is_ours} & set(PROGRAMS) - {own}
            assert not others, f"{name_of(path)} includes {others}"


def test_pure_folders_include_nothing_that_does_io():
    wrong = [
        f"{name_of(path)} includes <{header}>"
        for path in source_files()
        if name_of(path).startswith(tuple(folder + "/" for folder in PURE))
        for _, header in includes(path)
        if IMPURE_HEADERS.fullmatch(header)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("library", THIRD_PARTY)
def test_third_party_headers_stay_behind_their_folders(library):
    wrong = [
        f"{name_of(path)} includes <{header}>"
        for path in source_files()
        for _, header in includes(path)
        if re.match(library, header) and not name_of(path).startswith(THIRD_PARTY[library])
    ]
    assert not wrong, "\n".join(wrong)


def test_beast_and_cpprestsdk_never_meet():
    """In one translation unit the two would take minutes and gigabytes to compile; followed through our own headers."""
    direct = {name_of(path): includes(path) for path in source_files()}
    reached = defaultdict(set)

    def visit(name, seen):
        for is_ours, header in direct.get(name, ()):
            if is_ours and header not in seen:
                seen.add(header)
                visit(header, seen)
            elif re.match(r"boost/beast|cpprest/", header):
                seen.add(header.split("/")[0] + "/" + header.split("/")[1].split(".")[0])
        return seen

    for name in direct:
        if name.endswith(".cc"):
            reached[name] = {entry for entry in visit(name, set()) if entry.startswith(("boost/", "cpprest/"))}
    wrong = [name for name, found in reached.items() if {entry.split("/")[0] for entry in found} >= {"boost", "cpprest"}]
    assert not wrong, wrong
