"""What every file of the repository keeps to: a comment at its top, no path of one machine, no sleeping in tests, a length to read."""

import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parent.parent.parent
CODE = {".h", ".cc", ".py", ".proto", ".sh"}
LINES_MAX = 600
MACHINE_PATH = re.compile("|".join(rf"/{folder}/" for folder in (r"home/[a-z]+", "work", "Users", "root")))
SLEEP = re.compile(r"sleep_for|sleep_until|\busleep\(|\bnanosleep\(")
DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "AGENTS.md", "CHANGELOG.md", "docs/compatibility.md")
COMMENT_STARTS = ("//", "#", '"""', "/*", "<!--")


def tracked_files():
    """The files under version control, or without git those that are not built or fetched."""
    try:
        listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    except (OSError, subprocess.CalledProcessError):
        skipped = ("build", ".venv", ".git", "data", "dist", ".pytest_cache", ".ruff_cache")
        listing = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if not str(path.relative_to(ROOT)).startswith(skipped)]
    return [ROOT / name for name in listing if name and (ROOT / name).is_file()]


def text_files():
    for path in tracked_files():
        try:
            yield path, path.read_text()
        except UnicodeDecodeError:
            continue


def name_of(path):
    return str(path.relative_to(ROOT))


def code_files():
    return [path for path in tracked_files() if path.suffix in CODE]


def test_every_source_file_says_at_its_top_what_it_is():
    wrong = [name_of(path) for path in code_files() if not path.read_text().lstrip().startswith(COMMENT_STARTS)]
    assert not wrong, wrong


def test_no_file_names_a_path_of_one_machine():
    wrong = [f"{name_of(path)}: {found[0]}" for path, text in text_files() if (found := MACHINE_PATH.search(text))]
    assert not wrong, wrong


def test_cpp_tests_do_not_sleep():
    tests = [path for path in code_files() if path.suffix in {".cc", ".h"} and path.is_relative_to(ROOT / "tests")]
    wrong = [name_of(path) for path in tests if SLEEP.search(path.read_text())]
    assert not wrong, wrong


def test_make_test_knows_every_cpp_test():
    """As one for ASan, one for TSan, or one that runs in the release build alone."""
    names = set()
    for path in (ROOT / "tests").rglob("CMakeLists.txt"):
        names.update(re.findall(r"(?:dask_test|add_executable)\((\w+)", path.read_text()))
    lists = dict(re.findall(r"^(\w+)=\(([^)]*)\)$", (ROOT / "scripts/test").read_text(), re.MULTILINE))
    named = {name for text in lists.values() for name in text.split()}
    assert {name for name in names if not name.startswith(("fuzz", "replay"))} == named


def test_files_are_short_enough_to_read():
    lengths = {name_of(path): path.read_text().count("\n") for path in code_files()}
    longest = sorted(lengths.items(), key=lambda item: -item[1])[:10]
    print("longest files:", *(f"  {lines:5} {name}" for name, lines in longest), sep="\n")
    assert longest[0][1] <= LINES_MAX, longest[0]


def test_every_header_is_included_once():
    wrong = [name_of(path) for path in code_files() if path.suffix == ".h" and "#pragma once" not in path.read_text()]
    assert not wrong, wrong


@pytest.mark.parametrize(
    "document", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "AGENTS.md", "CHANGELOG.md", "docs/compatibility.md"]
)
def test_links_in_documents_lead_somewhere(document):
    path = ROOT / document
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), f"{document} links to {target}"


def test_the_readme_names_commands_that_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"`?make ([a-z]+)", (ROOT / "README.md").read_text())):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"make {target}"


def test_requirements_are_pinned():
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        assert not line or line.startswith("#") or re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][A-Za-z0-9.]*", line), line


def test_the_versions_agree():
    version = re.search(r"VERSION ([0-9.]+) LANGUAGES", (ROOT / "CMakeLists.txt").read_text())[1]
    assert f'\nversion = "{version}"\n' in (ROOT / "pyproject.toml").read_text()
    assert f'__version__ = "{version}"' in (ROOT / "python/dask_native/__init__.py").read_text()
