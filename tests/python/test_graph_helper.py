"""The graph helper alone: what it makes of real expressions, over its pipe, compared with what stock Dask makes of them."""

import operator
import os
import pickle
import signal
import subprocess
import sys

import dask
import numpy as np
import pytest
from dask import delayed
from dask._expr import LLGExpr
from dask._task_spec import Alias, DataNode, List, Task, TaskRef
from dask.base import collections_to_expr
from dask.order import order as dask_order
from distributed.client import SourceCode, _MapExpr
from distributed.core import clean_exception
from distributed.protocol import core as protocol_core
from distributed.protocol import to_serialize
from distributed.scheduler import _materialize_graph
from graph_helper_driver import PYTHON_FOLDER, GraphHelper, HelperDied, LoweringFailed, inc

from dask_native import graph_helper


@pytest.fixture(scope="module")
def helper():
    with GraphHelper() as helper:
        yield helper


def expr_of(*collections, optimize=True):
    expr = collections_to_expr(collections, optimize_graph=optimize)
    return expr.optimize(fuse=True) if optimize else expr


def keys_of(expr):
    return list(dask.core.flatten(expr.__dask_keys__()))


def assert_like_stock(lowered, expr):
    """Same keys, dependencies and flags as stock's materialisation; every run spec unpickles to an equal task."""
    dsk, _ = _materialize_graph(pickle.loads(pickle.dumps(expr)), False)
    assert {k: v for k, v in lowered.graph().items()} == {k: set(v.dependencies) for k, v in dsk.items()}
    assert not lowered.failures
    for i, key in enumerate(lowered.keys[: lowered.n]):
        assert bool(lowered.flags[i] & 1) == dsk[key].data_producer
        assert bool(lowered.flags[i] & 4) == isinstance(dsk[key], DataNode)
        task = lowered.task(key)
        assert type(task) is type(dsk[key])
        assert task.key == key and task.dependencies == dsk[key].dependencies


def run(lowered, wanted):
    """Computes the graph from its run specs, as workers would."""
    results = {}
    names = lowered.keys[: lowered.n]
    for key in sorted(names, key=dask_order({k: lowered.task(k) for k in names}).__getitem__):
        task = lowered.task(key)
        results[key] = task({k: results[k] for k in task.dependencies})
    return [results[k] for k in wanted]


def test_ready_brings_the_versions_of_the_packages(helper):
    from distributed.versions import get_versions

    assert helper.ready["op"] == "ready"
    assert helper.ready["versions"]["packages"] == get_versions()["packages"]


def test_a_submitted_task(helper):
    lowered = helper.lower(LLGExpr({"x": Task("x", operator.add, 1, TaskRef("y"))}), ["x"], has_priority=True)
    assert lowered.keys == ("x", "y") and lowered.n == 1
    assert lowered.dependencies == [{1}]
    assert lowered.task("x")({"y": 2}) == 3


def test_a_map(helper):
    keys = [f"inc-{i}" for i in range(5000)]
    expr = _MapExpr(inc, [range(5000)], keys, True, {}, {}, keys)
    lowered = helper.lower(expr, keys, has_priority=True)
    assert_like_stock(lowered, expr)
    assert run(lowered, keys[:3]) == [1, 2, 3]
    assert lowered.wanted == list(range(5000))


def test_delayed_collections_are_optimised_here(helper):
    layer = [delayed(operator.neg)(i) for i in range(300)]
    total = delayed(sum)(layer)
    expr = expr_of(total)
    lowered = helper.lower(expr, [total.key])
    assert_like_stock(lowered, expr)
    assert run(lowered, [total.key]) == [-sum(range(300))]


def test_culling_a_layer_does_not_walk_over_all_wanted_keys():
    sys.path.insert(0, str(PYTHON_FOLDER))
    from dask_native._lowering import _cull

    class Wanted(set):
        def __iter__(self):
            raise AssertionError("as many steps as there are keys, for each layer: quadratic")

    layer = {"x": Task("x", inc, TaskRef("y")), "y": Task("y", inc, 1), "z": Task("z", inc, 1)}
    assert set(_cull(layer, Wanted({"x", *range(100)}))) == {"x", "y"}


def test_a_dataframe(helper):
    pd = pytest.importorskip("pandas")
    import dask.dataframe as dd

    df = pd.DataFrame({"k": list("abcd") * 25, "x": range(100)})
    expected = df.groupby("k").x.sum()
    result = dd.from_pandas(df, npartitions=4).groupby("k").x.sum()
    expr = collections_to_expr([result]).finalize_compute().optimize()
    wanted = keys_of(expr)
    lowered = helper.lower(expr, wanted)
    assert_like_stock(lowered, expr)
    (computed,) = run(lowered, wanted)
    assert computed.to_dict() == expected.to_dict()


def test_an_array(helper):
    da = pytest.importorskip("dask.array")
    x = da.ones((100, 100), chunks=(25, 25))
    expr = collections_to_expr([(x + x.T).sum()]).finalize_compute().optimize()
    lowered = helper.lower(expr, keys_of(expr))
    assert_like_stock(lowered, expr)
    assert run(lowered, keys_of(expr)) == [20000.0]


def test_p2p_barriers_are_flagged(helper):
    pd = pytest.importorskip("pandas")
    import dask.dataframe as dd

    with dask.config.set({"dataframe.shuffle.method": "p2p"}):
        df = dd.from_pandas(pd.DataFrame({"x": range(100)}), npartitions=4).shuffle("x")
        expr = collections_to_expr([df]).optimize()
    lowered = helper.lower(expr, keys_of(expr))
    barriers = [key for i, key in enumerate(lowered.keys[: lowered.n]) if lowered.flags[i] & 2]
    assert len(barriers) == 1
    assert type(lowered.task(barriers[0])).__name__ == "P2PBarrierTask"


def test_barriers_say_what_the_scheduler_must_know_of_their_shuffles(helper):
    pd = pytest.importorskip("pandas")
    da = pytest.importorskip("dask.array")
    import dask.dataframe as dd
    from distributed.protocol.pickle import loads

    with dask.config.set({"dataframe.shuffle.method": "p2p", "array.rechunk.method": "p2p"}):
        df = dd.from_pandas(pd.DataFrame({"x": range(100)}), npartitions=4).shuffle("x", npartitions=6).partitions[[1, 5]]
        array = da.ones((8, 6), chunks=(2, 6)).rechunk((4, 2))
        frame, chunks = [collections_to_expr([c]).optimize() for c in (df, array)]
    lowered = helper.lower(frame, keys_of(frame))
    (row,), (spec,) = lowered.shuffles, lowered.shuffle_specs
    assert (row["n"], row["partitions"]) == (6, [1, 5])
    barrier = lowered.task(lowered.keys[row["task"]])
    assert barrier.key == f"shuffle-barrier-{row['id']}"
    assert loads(spec).npartitions == 6 and loads(spec).id == row["id"]
    lowered = helper.lower(chunks, keys_of(chunks))
    by_rank = {}
    for row, spec in zip(lowered.shuffles, map(loads, lowered.shuffle_specs)):
        assert tuple(row["chunks"]) == tuple(map(len, spec.new))
        by_rank[row["id"]] = len(list(spec.output_partitions))
    assert by_rank and all(by_rank.values())


def test_buffers_before_a_function_by_value_are_sent(helper):
    """The plain pickler gives up at the function; what it had collected so far is nobody's."""
    numbers = np.arange(1000)
    expr = LLGExpr({"a": DataNode("a", numbers), "f": Task("f", lambda x: int(x.sum()), TaskRef("a"))})
    lowered = helper.lower(expr, ["f"])
    assert run(lowered, ["f"]) == [int(numbers.sum())]


def test_a_legacy_graph_of_tuples_is_converted(helper):
    expr = LLGExpr({"a": 1, "b": (operator.add, "a", 10), "c": "b", "d": [(operator.neg, "a"), "b"]})
    lowered = helper.lower(expr, ["c", "d"])
    assert run(lowered, ["c", "d"]) == [11, [-1, 11]]


def test_an_empty_dict_and_a_plain_dict_are_graphs(helper):
    assert helper.lower({}, ["x"]).n == 0
    lowered = helper.lower({"x": (operator.neg, 1)}, ["x"])
    assert run(lowered, ["x"]) == [-1]


def test_wanted_keys_that_the_graph_does_not_define(helper):
    lowered = helper.lower(LLGExpr({"x": Task("x", inc, 1)}), ["x", "other"])
    assert lowered.wanted == [0, 0xFFFFFFFF]


def test_an_alias_of_itself_is_dropped_as_stock_does(helper):
    lowered = helper.lower(LLGExpr({"x": Alias("x"), "y": Task("y", inc, TaskRef("x"))}), ["x", "y"])
    assert lowered.graph() == {"y": {"x"}}


def test_numpy_numbers_in_keys_become_plain_numbers(helper):
    expr = LLGExpr({("x", np.int64(1)): Task(("x", np.int64(1)), inc, 1), ("y", np.float32(0.5)): Task("y", inc, TaskRef(("x", 1)))})
    lowered = helper.lower(expr, [("x", 1)])
    assert lowered.keys == (("x", 1), ("y", 0.5))
    assert lowered.dependencies == [set(), {0}]


def test_a_key_of_a_strange_type_is_refused_with_its_name(helper):
    with pytest.raises(LoweringFailed) as e:
        helper.lower(LLGExpr({frozenset("a"): Task(frozenset("a"), inc, 1)}), [])
    assert "Unexpected key type" in e.value.args[0]["exception_text"]


def test_specs_come_in_the_order_that_was_asked_for_and_only_those(helper):
    expr = LLGExpr({i: Task(i, inc, i) for i in range(1000)})
    lowered = helper.lower(expr, list(range(1000)), order=lambda lowered: list(range(999, 499, -1)))
    assert list(lowered.specs) == list(range(999, 499, -1))
    assert lowered.task(750)() == 751


# ---- annotations -----------------------------------------------------------------------------------------------------------


def test_global_annotations_are_one_row(helper):
    expr = LLGExpr({i: Task(i, inc, i) for i in range(10)})
    lowered = helper.lower(expr, range(10), annotations={"priority": 7, "workers": "alice", "retries": 3, "custom": {"a": (1, 2)}})
    assert lowered.annotation == [0] * 10
    (row,) = lowered.rows
    assert row["priority"] == 7.0 and row["workers"] == ["alice"] and row["retries"] == 3
    assert row["wire"]["custom"] == {"a": (1, 2)}


def test_layer_annotations_override_global_ones_and_callables_are_asked_per_key(helper):
    with dask.annotate(priority=5, resources={"GPU": 1}):
        a = delayed(inc)(1, dask_key_name="a")
    with dask.annotate(retries=lambda key: 2 if key == "b" else 0, allow_other_workers=True):
        b = delayed(inc)(a, dask_key_name="b")
    c = delayed(inc)(b, dask_key_name="c")
    lowered = helper.lower(expr_of(c, optimize=False), ["c"], annotations={"priority": 1, "workers": lambda key: [f"w-{key}"]})
    rows = {key: lowered.rows[lowered.annotation[i]] for i, key in enumerate(lowered.keys)}
    assert rows["a"]["priority"] == 5 and rows["a"]["resources"] == [["GPU", 1.0]] and rows["a"]["workers"] == ["w-a"]
    assert rows["b"]["priority"] == 1 and rows["b"]["retries"] == 2 and rows["b"]["allow_other_workers"] is True
    assert rows["c"]["wire"] == {"priority": 1, "workers": ("w-c",)}


def test_annotations_that_msgpack_cannot_say_are_pickled_in_place(helper):
    value = complex(1, 2)
    lowered = helper.lower(LLGExpr({"x": Task("x", inc, 1)}), ["x"], annotations={"strange": value, "tags": {"a"}, "plain": 1})
    assert lowered.rows[0]["wire"] == {"strange": value, "tags": {"a"}, "plain": 1}


@pytest.mark.parametrize("annotations", [{"retries": "many"}, {"priority": "high"}, {"resources": ["GPU"]}])
def test_wrong_annotations_fail_the_graph_with_their_name(helper, annotations):
    with pytest.raises(LoweringFailed) as e:
        helper.lower(LLGExpr({"x": Task("x", inc, 1)}), ["x"], annotations=annotations)
    assert next(iter(annotations)) in e.value.args[0]["exception_text"]


def test_code_and_span_metadata_come_back_readable(helper):
    lowered = helper.lower(
        LLGExpr({"x": Task("x", inc, 1)}),
        ["x"],
        code=(SourceCode("x = 1", 1, 0, "a.py"),),
        span_metadata={"collections": [{"type": "Future"}]},
        annotations={"span": {"name": ("a",), "ids": ("1",)}},
    )
    assert lowered.description["code"] == [{"code": "x = 1", "lineno_frame": 1, "lineno_relative": 0, "filename": "a.py"}]
    assert lowered.description["span_metadata"] == {"collections": [{"type": "Future"}]}


# ---- run specs -------------------------------------------------------------------------------------------------------------


def in_main(source):
    """What a client sends whose __main__ is `source`: the frames of `expr`."""
    program = source + (
        "\nimport sys, msgpack"
        "\nfrom distributed.protocol import core, to_serialize"
        "\nsys.stdout.buffer.write(msgpack.packb([bytes(f) for f in core.dumps(to_serialize(expr))[1:]]))"
    )
    import msgpack

    return msgpack.unpackb(subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True).stdout)


MAIN = """
import operator
from dask._expr import LLGExpr
from dask._task_spec import Task, TaskRef
state = []
class Point:
    def __init__(self, x): self.x = x
    def __eq__(self, other): return type(other) is Point and self.x == other.x
def helper(x): return x + 1
def inc(x): return helper(x)
def same(x): return x is state
def point(x): return Point(x)
def is_point(p): return isinstance(p, Point)
big = bytes(1_000_000)
def use_big(x): return len(big) + x
"""


def test_functions_of_main_are_pickled_by_value_once(helper):
    frames = in_main(MAIN + "expr = LLGExpr({i: Task(i, inc, i) for i in range(500)})")
    lowered = helper.lower(frames, list(range(500)))
    assert lowered.task(3)() == 4
    # The function's own pickle is the same in every spec: nested, made once.
    (function,) = {bytes(frames[0]).partition(b"_pickle")[2].partition(b"helper")[0] for frames in lowered.specs.values()}
    assert b"cloudpickle" in function


def test_importable_and_main_functions_mix_in_one_graph(helper):
    frames = in_main(
        MAIN + "expr = LLGExpr({0: Task(0, operator.neg, 5), 1: Task(1, inc, TaskRef(0)), 2: Task(2, lambda x: x * 2, TaskRef(1))})"
    )
    assert run(helper.lower(frames, [2]), [2]) == [-8]


def test_classes_of_main_stay_one_class_in_their_worker(helper):
    frames = in_main(MAIN + "expr = LLGExpr({0: Task(0, point, 5), 1: Task(1, is_point, TaskRef(0)), 2: Task(2, is_point, Point(1))})")
    lowered = helper.lower(frames, [1, 2])
    assert run(lowered, [1, 2]) == [True, True]


def test_an_object_that_a_main_function_and_its_arguments_share_stays_shared(helper):
    frames = in_main(MAIN + "expr = LLGExpr({0: Task(0, same, state)})")
    assert helper.lower(frames, [0]).task(0)() is True


def test_large_globals_of_main_functions_are_sent_once(helper):
    frames = in_main(MAIN + "expr = LLGExpr({i: Task(i, use_big, i) for i in range(300)})")
    lowered = helper.lower(frames, list(range(300)))
    assert lowered.task(7)() == 1_000_007
    assert lowered.pool_bytes < 2_000_000


def test_numpy_constants_travel_out_of_band_and_once(helper):
    array = np.arange(100_000)
    expr = LLGExpr({i: Task(i, np.sum, array) for i in range(300)})
    lowered = helper.lower(expr, list(range(300)))
    assert lowered.task(299)() == array.sum()
    assert lowered.pool_bytes == array.nbytes
    assert len(lowered.specs[5]) == 2


def test_many_small_buffers_keep_their_order(helper):
    expr = LLGExpr({i: Task(i, sum, List(*[np.full(3, i * 20 + j) for j in range(20)])) for i in range(300)})
    lowered = helper.lower(expr, list(range(300)))
    for i in (0, 17, 299):
        assert list(lowered.task(i)()) == [sum(i * 20 + j for j in range(20))] * 3


def test_a_task_that_cannot_be_pickled_fails_alone(helper):
    frames = in_main(
        "from dask._expr import LLGExpr\nfrom dask._task_spec import Task\nimport operator\n"
        "class Refuses:\n"
        "    def __dask_tokenize__(self): return 'r'\n"
        "    def __reduce_ex__(self, p):\n"
        "        return (eval, (\"type('R', (), {'__reduce_ex__': lambda s, p: 1 / 0})()\",))\n"
        "expr = LLGExpr({0: Task(0, operator.neg, 1), 1: Task(1, operator.neg, Refuses()), 2: Task(2, operator.neg, 3)})"
    )
    lowered = helper.lower(frames, [0, 1, 2])
    (failure,) = lowered.failures
    assert failure["position"] == 1
    with pytest.raises(ZeroDivisionError):
        _, exception, trace = clean_exception(failure["exception"], failure["traceback"])
        raise exception.with_traceback(trace)
    assert lowered.task(0)() == -1 and lowered.task(2)() == -3


# ---- errors, life and death ------------------------------------------------------------------------------------------------


def evaluated(source):
    """An expression that is Python source, evaluated while it is unpickled."""
    import msgpack

    pickled = b"cbuiltins\neval\n(V" + source.encode() + b"\ntR."
    return [msgpack.packb({"serializer": "pickle", "writeable": [], "num-sub-frames": 1}), pickled]


def test_errors_while_unpickling_say_what_stock_says(helper):
    with pytest.raises(LoweringFailed) as e:
        helper.lower(evaluated("1 / 0"), ["x"])
    _, exception, _ = clean_exception(e.value.args[0]["exception"], e.value.args[0]["traceback"])
    assert isinstance(exception, RuntimeError)
    assert "Error during deserialization of the task graph" in str(exception)
    assert isinstance(exception.__cause__, ZeroDivisionError)


def test_errors_while_lowering_keep_their_type(helper):
    class Expr:
        def __reduce__(self):
            return eval, ("type('E', (), {'__dask_graph__': lambda self: {}['missing']})()",)

    with pytest.raises(LoweringFailed) as e:
        helper.lower(Expr(), ["x"])
    _, exception, trace = clean_exception(e.value.args[0]["exception"], e.value.args[0]["traceback"])
    assert isinstance(exception, KeyError) and trace is not None


def test_system_exit_in_user_code_is_an_error_of_its_graph(helper):
    with pytest.raises(LoweringFailed) as e:
        helper.lower(evaluated("__import__('sys').exit(3)"), ["x"])
    assert "SystemExit" in e.value.args[0]["exception_text"]
    assert helper.lower({}, []).n == 0


def test_unknown_operations_are_refused(helper):
    helper.send({"op": "unheard-of", "id": 99})
    head, _ = helper.receive()
    assert head["op"] == "error" and "unheard-of" in head["exception_text"]


def test_interrupts_are_ignored(helper):
    helper.process.send_signal(signal.SIGINT)
    assert helper.lower({}, []).n == 0


def test_prints_go_to_stderr():
    with GraphHelper() as helper:
        helper.lower(evaluated("(print('text'), __import__('os').write(1, b'bytes'), {})[-1]"), [])
    assert helper.stdout == b""


def test_the_helper_exits_when_the_pipe_closes_even_in_user_code():
    helper = GraphHelper()
    helper.request(evaluated("__import__('time').sleep(600)"), [])
    helper.socket.close()
    assert helper.process.wait(20) == 0
    helper.process.stdout.close()


def test_a_graphs_memory_is_freed_after_it_is_done():
    with GraphHelper() as helper:

        def rss():
            helper.lower({}, [])  # a collection may follow the answer before this one
            with open(f"/proc/{helper.process.pid}/statm") as f:
                return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")

        keys = [f"inc-{i}" for i in range(20_000)]
        expr = _MapExpr(inc, [[bytes([i % 256]) * 1000 for i in range(20_000)]], keys, True, {}, {}, keys)
        frames = protocol_core.dumps(to_serialize(expr))[1:]
        helper.lower(frames, keys, has_priority=True)
        first = rss()
        for _ in range(3):
            helper.lower(frames, keys, has_priority=True)
        # Freed after an answer, by the collection that may follow it: some questions later at the latest.
        assert any(rss() <= first + 20_000_000 for _ in range(1000))


def test_a_helper_that_dies_ends_the_pipe():
    helper = GraphHelper()
    helper.request(evaluated("__import__('os')._exit(7)"), [])
    with pytest.raises(HelperDied, match="7"):
        helper.receive()
    helper.socket.close()
    helper.process.stdout.close()


class SilentPipe:
    """A pipe on which nothing comes for so many waits."""

    def __init__(self, waits):
        self.waits = waits

    def has_input(self, timeout_s):
        assert timeout_s > 0
        self.waits -= 1
        return self.waits < 0


def test_what_graphs_need_later_is_imported_while_nothing_comes():
    idle = graph_helper.Helper.__new__(graph_helper.Helper)
    idle.idle_imports = ["no_such_module_anywhere", "colorsys", "sched"]
    idle.pipe = SilentPipe(waits=2)
    sys.modules.pop("colorsys", None)
    idle.import_while_idle()
    assert "colorsys" in sys.modules
    assert idle.idle_imports == ["sched"]
    idle.pipe = SilentPipe(waits=1)
    idle.import_while_idle()
    assert idle.idle_imports == []
