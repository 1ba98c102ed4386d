"""A program outside of the repository: installed headers and library, find_package(dask-native), its own functions on every scheduler."""

import os
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parent.parent.parent
BUILD = ROOT / "build"

PROJECT = """
cmake_minimum_required(VERSION 3.25)
project(outside LANGUAGES CXX)
find_package(dask-native REQUIRED)
add_executable(outside outside.cc)
target_link_libraries(outside PRIVATE dask-native::dask-native)
"""

PROGRAM = """
#include <dask/dask.h>

#include <cstdio>

int inc(int x) { return x + 1; }
int add(int x, int y) { return x + y; }

int main(int argc, char** argv) {
  dask::init(argc, argv);
  const auto total = dask::delayed<add>(dask::delayed<inc>(1), dask::delayed<inc>(2));
  for (const char* scheduler : {"sync", "threads", "processes"})
    std::printf("%s %d\\n", scheduler, total.compute({.scheduler = scheduler}));
}
"""


def run(*command, **options):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"
    return result.stdout


@pytest.mark.skipif(not shutil.which("cmake") or not list(BUILD.glob("client/libdask-native.so*")), reason="the library is not built")
def test_a_program_outside_finds_the_package_and_runs(tmp_path):
    prefix = tmp_path / "prefix"
    run("cmake", "--install", BUILD, "--prefix", prefix, "--component", "cpp")
    (tmp_path / "CMakeLists.txt").write_text(PROJECT)
    (tmp_path / "outside.cc").write_text(PROGRAM)
    environment = {**os.environ, "CMAKE_PREFIX_PATH": str(prefix)}
    run("cmake", "-S", tmp_path, "-B", tmp_path / "build", env=environment)
    run("cmake", "--build", tmp_path / "build")
    assert run(tmp_path / "build" / "outside").split() == ["sync", "5", "threads", "5", "processes", "5"]
    check_headers(prefix)


DATAFRAME_PROJECT = PROJECT.replace("dask-native::dask-native", "dask-native::dataframe")

DATAFRAME_PROGRAM = """
#include <dask/dask.h>
#include <dask/dataframe.h>

#include <cstdio>

namespace dd = dask::dataframe;

int main(int argc, char** argv) {
  dask::init(argc, argv);
  auto df = dd::read_csv(std::string(argv[1]), {.dtype = {{"b", dd::float64}}});
  auto client = dask::Client();
  auto largest = df[!df["gone"]].groupby("a")["b"].mean().max();
  for (const char* scheduler : {"threads", "processes", "distributed"})
    std::printf("%s %.1f\\n", scheduler, static_cast<double>(largest.compute({.scheduler = scheduler})));
}
"""


@pytest.mark.skipif(
    not list(BUILD.glob("collections/dataframe/libdask-native-dataframe.so*")), reason="the dataframe is not built: no Arrow"
)
def test_a_program_outside_uses_the_dataframe(tmp_path):
    prefix = tmp_path / "prefix"
    run("cmake", "--install", BUILD, "--prefix", prefix, "--component", "cpp")
    (tmp_path / "CMakeLists.txt").write_text(DATAFRAME_PROJECT)
    (tmp_path / "outside.cc").write_text(DATAFRAME_PROGRAM)
    (tmp_path / "rows.csv").write_text("a,b,gone\nx,1,False\nx,2,False\ny,7,True\ny,1,False\n")
    run("cmake", "-S", tmp_path, "-B", tmp_path / "build", env={**os.environ, "CMAKE_PREFIX_PATH": str(prefix)})
    run("cmake", "--build", tmp_path / "build")
    answers = run(tmp_path / "build" / "outside", tmp_path / "rows.csv", cwd=tmp_path)
    assert answers.split() == ["threads", "1.5", "processes", "1.5", "distributed", "1.5"]
    check_headers(prefix)


def check_headers(prefix):
    headers = "\n".join(path.read_text() for path in (prefix / "include").rglob("*.h"))
    for heavy in ("boost/asio", "google/protobuf", "arrow/", "spdlog", "nlohmann"):
        assert f"#include <{heavy}" not in headers
