"""What the compiler says when something cannot be a task: one error, in words that tell what to do."""

import os
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parent.parent.parent
COMPILER = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")

PROGRAM = """
#include "core/native/function.h"
struct Handle {{ explicit Handle(int); int number; }};
struct Holder {{ Handle* handle = nullptr; auto dask_fields() {{ return std::tie(handle); }} }};
struct Point {{ double x = 0; auto dask_fields() {{ return std::tie(x); }} }};
{function}
const auto& registered = dask::native::registered<{name}>();
"""

CASES = {
    "a parameter that nobody can write": ("int f(Handle h) { return h.number; }", "f", "dask_fields"),
    "a result that nobody can write": ("Handle f(int x) { return Handle(x); }", "f", "dask_fields"),
    "a list of such": ("int f(std::vector<Handle> h) { return 0; }", "f", "dask_fields"),
    "a field that nobody can write": ("int f(Holder h) { return 0; }", "f", "dask_fields"),
    "a reference that could be changed": ("int f(int& x) { return x; }", "f", "a value or a const reference"),
    "a pointer": ("int f(const int* x) { return *x; }", "f", "a value or a const reference"),
    "a lambda of any type": ("", "[](auto x) { return x; }", "named parameter types"),
}


def compile_errors(function, name):
    program = PROGRAM.format(function=function, name=name)
    command = [COMPILER, "-std=c++20", "-fsyntax-only", f"-I{ROOT}", "-x", "c++", "-"]
    result = subprocess.run(command, input=program, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    return [line for line in result.stderr.splitlines() if " error: " in line]


@pytest.mark.parametrize("case", CASES)
def test_what_cannot_be_a_task_is_one_readable_error(case):
    function, name, words = CASES[case]
    errors = compile_errors(function, name)
    assert len(errors) == 1, "\n".join(errors)
    assert words in errors[0]


def test_what_can_be_a_task_compiles():
    assert compile_errors("double f(const Point& p, std::vector<Point> all, std::string_view s) { return p.x; }", "f") == []
