"""The executor alone, over its socket: what happens when users' code fails, misbehaves, or ends the process."""

import os
import signal
import sys
import threading

import pytest
from distributed import Reschedule
from distributed.core import clean_exception
from executor_driver import Executor, ExecutorDied, UnpacksWithError, inc, raise_error, spec_of


@pytest.fixture(scope="module")
def executor():
    with Executor(nthreads=2) as executor:
        executor.wait_for("ready")
        yield executor


@pytest.fixture
def own_executor():
    with Executor(nthreads=2) as executor:
        executor.wait_for("ready")
        yield executor


def test_an_exception_is_reported_with_its_traceback(executor):
    failed = executor.run("div", divide, 1, 0)
    assert failed.op == "failed"
    assert failed.exception_text == "ZeroDivisionError('division by zero')"
    assert "return x / y" in failed.traceback_text
    assert "distributed/worker" not in failed.traceback_text
    _, exception, trace = clean_exception(failed.exception, failed.traceback)
    assert isinstance(exception, ZeroDivisionError) and trace is not None
    with pytest.raises(KeyError):
        executor.value("div")


def divide(x, y):
    return x / y


class Unpicklable(Exception):
    def __init__(self):
        self.lock = threading.Lock()


def raise_unpicklable():
    raise Unpicklable


class OneWay(Exception):
    """Pickles, but does not come back."""

    def __init__(self, a, b):
        super().__init__(a)


def raise_one_way():
    raise OneWay(1, 2)


class BadRepr:
    def __repr__(self):
        raise ValueError("no repr")


def test_an_exception_that_does_not_pickle_is_replaced_as_stock_does(executor):
    failed = executor.run("unpicklable", raise_unpicklable)
    assert type(failed.exception_object()) is Exception and "Unpicklable" in str(failed.exception_object())
    failed = executor.run("one-way", raise_one_way)
    assert "OneWay" in repr(failed.exception_object())


def test_long_messages_are_cut(executor):
    failed = executor.run("long-error", raise_error, "x" * 1_000_000)
    assert len(failed.exception) < 50_000


def test_text_that_is_no_unicode_comes_through(executor):
    failed = executor.run("surrogate", raise_error, "broken \udcff name")
    assert failed.op == "failed" and "\\udcff" in failed.exception_text


def test_a_task_with_a_broken_repr_still_reports(executor):
    failed = executor.run("bad-repr", raise_if, BadRepr())
    assert failed.op == "failed"


def raise_if(x):
    raise ValueError("raised")


def test_base_exceptions_fail_only_their_task(executor):
    failed = executor.run("base", raise_generator_exit)
    assert failed.op == "failed" and "GeneratorExit" in failed.exception_text


def raise_generator_exit():
    raise GeneratorExit


def test_reschedule(executor):
    assert executor.run("reschedule", raise_reschedule).op == "reschedule"


def raise_reschedule():
    raise Reschedule


def test_endless_recursion_fails_its_task(executor):
    failed = executor.run("recursion", recurse, 1)
    assert failed.op == "failed" and "RecursionError" in failed.exception_text
    assert executor.run("after-recursion", inc, 1).op == "finished"


def recurse(n):
    return recurse(n + 1) + 1


def test_a_deeply_nested_result_is_held_and_its_serialisation_fails(executor):
    finished = executor.run("deep", nest, 100_000)
    assert finished.op == "finished"
    assert "Could not serialize" in executor.serialise("deep")["deep"]
    assert executor.run("after-deep", inc, 1).op == "finished"
    executor.send(["drop", ["deep"]])
    assert executor.run("after-drop", inc, 1).op == "finished"


def nest(n):
    out = []
    for _ in range(n):
        out = [out]
    return out


def test_a_run_spec_that_cannot_be_unpacked_fails_its_task(executor):
    token = executor.execute_spec("bad-spec", spec_of(UnpacksWithError()))
    failed = executor.wait_for("failed", token=token)
    assert failed.exception_text == "ValueError('cannot be unpacked')"
    token = executor.execute_spec("no-spec", [b"\xc0"])
    assert executor.wait_for("failed", token=token)


def test_an_unknown_executor_is_refused(executor):
    failed = executor.run("nowhere", inc, 1, annotations={"executor": "gpu"})
    assert failed.op == "failed" and "Invalid executor 'gpu'" in failed.exception_text
    assert executor.run("offload", inc, 1, annotations={"executor": "offload"}).op == "finished"
    assert executor.value("offload") == 2


def test_a_size_that_is_no_number_is_no_trouble(executor):
    assert executor.run("odd-size", OddSize).op in ("finished", "failed")
    assert executor.run("after-odd", inc, 1).op == "finished"


class OddSize:
    def __sizeof__(self):
        return 1 << 40


# ---- user code that misbehaves ----


def test_output_of_tasks_is_passed_on_and_stdin_is_empty():
    with Executor() as executor:
        executor.run("print", print_things)
        assert executor.value("print") == ""
    assert "to stdout" in executor.output and "to stderr" in executor.output


def print_things():
    print("to stdout")
    print("to stderr", file=sys.stderr)
    return sys.stdin.read()


@pytest.mark.parametrize("fd", [0, 1, 2])
def test_tasks_may_close_standard_descriptors(fd):
    with Executor() as executor:
        executor.run("close", os.close, fd)
        assert executor.run("print", print, "nowhere").op in ("finished", "failed")
        assert executor.run("fail", divide, 1, 0).op == "failed"
        assert executor.run("after", inc, 1).op == "finished"


def test_bytes_written_to_other_descriptors_do_not_reach_the_socket():
    with Executor() as executor:
        executor.run("subprocess", run_subprocess)
        assert executor.value("subprocess") == b"hello\n"


def run_subprocess():
    import subprocess

    return subprocess.run([sys.executable, "-S", "-c", "print('hello')"], capture_output=True, check=True).stdout


@pytest.mark.parametrize("code, expected", [(3, 3), (None, 0), ("text", 1), (256 + 7, 7)])
def test_sys_exit_ends_the_process_and_names_the_task(code, expected):
    with Executor() as executor:
        executor.execute("exits", sys.exit, code)
        ending = executor.wait_for("ending")
        assert ending.key == "'exits'" and "SystemExit" in ending.text
        with pytest.raises(ExecutorDied) as died:
            executor.wait_for("finished")
        assert died.value.args[0] == expected


def test_a_keyboard_interrupt_in_a_coroutine_ends_the_process():
    with Executor() as executor:
        executor.execute("interrupts", interrupt)
        assert "KeyboardInterrupt" in executor.wait_for("ending").text
        with pytest.raises(ExecutorDied) as died:
            executor.wait_for("finished")
        assert died.value.args[0] == 130


async def interrupt():
    raise KeyboardInterrupt


def test_os_exit_and_signals_show_in_the_status(own_executor):
    own_executor.execute("exits", os._exit, 5)
    with pytest.raises(ExecutorDied) as died:
        own_executor.wait_for("finished")
    assert died.value.args[0] == 5
    with Executor() as executor:
        executor.execute("dies", kill_self)
        with pytest.raises(ExecutorDied) as died:
            executor.wait_for("finished")
        assert died.value.args[0] == -signal.SIGKILL


def kill_self():
    os.kill(os.getpid(), signal.SIGKILL)


def test_it_ends_with_the_socket_even_while_user_code_runs():
    with Executor() as executor:
        executor.wait_for("ready")
        executor.execute("forever", loop_forever)
        executor.call("versions", packages=None)
    assert executor.process.returncode == 0


def loop_forever():
    while True:
        pass


def test_a_request_that_it_does_not_know_ends_it(own_executor):
    own_executor.send(["sing"])
    with pytest.raises(ExecutorDied):
        own_executor.wait_for("finished")


def test_options_that_cannot_be_used_are_told():
    with Executor(preload=["no_such_module_for_the_test"]) as executor:
        assert "no_such_module_for_the_test" in executor.wait_for("cannot-start").text
        with pytest.raises(ExecutorDied) as died:
            executor.wait_for("finished")
        assert died.value.args[0] == 1
