"""The generated parts of the documentation are up to date, and the generator does what it says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
# None of this may show in the documentation.
HOSTILE = {
    "COLUMNS": "37",
    "FORCE_COLOR": "1",
    "LC_ALL": "C",
    "MERGEGUARD_FAIL_ON": "none",
    "MERGEGUARD_MAX_FINDINGS": "1",
    "TZ": "Asia/Kathmandu",
}


def generate(checkout: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, checkout / "scripts" / "docs.py", *arguments],
        cwd="/",
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A checkout with one page."""
    shutil.copytree(CHECKOUT / "scripts" / "docs", tmp_path / "scripts" / "docs")
    shutil.copy(CHECKOUT / "scripts" / "docs.py", tmp_path / "scripts")
    (tmp_path / "mergeguard").symlink_to(CHECKOUT / "mergeguard")
    (tmp_path / "docs").mkdir()
    return tmp_path


def page(small: Path, *blocks: str) -> Path:
    path = small / "docs" / "page.md"
    text = "\n".join(f"Before.\n<!-- generated: {block} -->\nold\n<!-- end -->\nAfter." for block in blocks)
    path.write_text(text + "\n", "utf-8")
    return path


OPTIONAL = ("adbc_driver_postgresql", "adbc_driver_sqlite", "arrow_odbc", "hypothesis", "psycopg", "pyarrow")
HIDE = f"""
import importlib.machinery
found = importlib.machinery.PathFinder.find_spec
importlib.machinery.PathFinder.find_spec = classmethod(
    lambda _, name, *rest: None if name.partition(".")[0] in {OPTIONAL} else found(name, *rest)
)
"""


@pytest.fixture
def bare(small: Path) -> Path:
    """A checkout with all pages, on a machine without any optional package."""
    shutil.copytree(CHECKOUT / "docs", small / "docs", dirs_exist_ok=True)
    for path in CHECKOUT.glob("*.md"):
        shutil.copy(path, small)
    (small / "sitecustomize.py").write_text(HIDE, "utf-8")
    return small


def test_the_generated_documentation_is_up_to_date_on_every_machine(bare: Path) -> None:
    done = generate(bare, "--check", PYTHONPATH=str(bare), **HOSTILE)

    assert (done.stdout, done.stderr) == ("", ""), "run `python scripts/docs.py`"
    assert done.returncode == 0


def test_optional_packages_are_hidden_from_it(small: Path) -> None:
    (small / "sitecustomize.py").write_text(HIDE, "utf-8")
    path = page(small, f"run '{sys.executable}' -c 'import pyarrow' 2>&1 | tail -1", "run mergeguard --version")

    assert generate(small, PYTHONPATH=str(small)).returncode == 0
    assert "ModuleNotFoundError: No module named 'pyarrow'" in path.read_text("utf-8")


def test_check_names_what_is_out_of_date_and_writes_nothing(small: Path) -> None:
    path = page(small, "exit-codes")
    before = path.read_text("utf-8")

    done = generate(small, "--check")

    assert done.returncode == 1
    assert "out of date: docs/page.md\n" in done.stdout
    assert path.read_text("utf-8") == before
    assert not (small / "docs" / "images").exists()


def test_a_block_is_replaced_and_nothing_else_and_only_once(small: Path) -> None:
    path = page(small, "exit-codes", "run echo hello")

    first = generate(small)
    text = path.read_text("utf-8")
    again = generate(small, **HOSTILE)

    assert first.returncode == again.returncode == 0
    assert "written: docs/page.md\n" in first.stdout
    assert again.stdout == ""
    assert path.read_text("utf-8") == text
    assert text.count("Before.") == text.count("After.") == 2
    assert "| 130 | `INTERRUPTED` |" in text
    assert "```console\n$ echo hello\nhello\n```\n<!-- end -->" in text
    assert "old" not in text.split()


def test_commands_of_a_page_share_a_folder_that_the_page_does_not_show(small: Path) -> None:
    path = page(small, "run pwd > here; cat here", "run test -s here && echo kept")

    assert generate(small).returncode == 0
    text = path.read_text("utf-8")
    assert "cat here\n.\n```" in text
    assert "\nkept\n" in text


def test_lines_are_cut_and_the_exit_code_is_shown(small: Path) -> None:
    path = page(small, "run lines=2-3 exit=4 printf '1\\n2\\n3\\n4\\n'; exit 4")

    assert generate(small).returncode == 0
    assert "\n...\n2\n3\n...\n$ echo $?\n4\n```" in path.read_text("utf-8")


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ("run exit 3", "`exit 3` ended with exit code 3"),
        ("run exit=1 true", "`true` ended with exit code 0"),
        ("exit-cods", "there is no generated block 'exit-cods'"),
        ("json echo '{' && false", "ended with exit code 1"),
    ],
)
def test_a_page_that_cannot_be_made_is_a_failure_and_stays_as_it_was(small: Path, block: str, said: str) -> None:
    path = page(small, block)
    before = path.read_text("utf-8")

    done = generate(small)

    assert done.returncode == 1
    assert said in done.stderr
    assert path.read_text("utf-8") == before


def test_an_unknown_argument_is_refused() -> None:
    assert generate(CHECKOUT, "--chekc").returncode == 2
