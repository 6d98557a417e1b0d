"""The tests' own machinery: no silent skip in CI, no orphaned server, a script that says what is wrong."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
CHECKOUT = TESTS.parent
ENDS_SESSIONS = re.compile(r"pg_(?:terminate|cancel)_backend\(")
"""Statements that end what other sessions do; each has to say whose within the next characters."""
NAMES_WHOSE = re.compile(r"datname|\{HERE\}|pg_backend_pid|%s")
INI = "[pytest]\naddopts = --import-mode=importlib\nmarkers =\n    mssql: x\n    long: x\n"


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A small test suite with our conftest."""
    (tmp_path / "tests").mkdir()
    for name in ("conftest.py", "postgres_server.py"):
        shutil.copy(TESTS / name, tmp_path / "tests")
    (tmp_path / "pytest.ini").write_text(INI)
    return tmp_path


def run_suite(suite: Path, source: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (suite / "tests" / "test_of_suite.py").write_text(source)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=suite,
        env=clean_environment() | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def clean_environment() -> dict[str, str]:
    """Ours, without what would tell the child that it is part of this run."""
    dropped = ("PYTEST_", "MERGEGUARD_TEST_COUNTS", "MERGEGUARD_TEST_MSSQL_URL", "MERGEGUARD_TEST_POSTGRES_URL", "CI")
    return {name: value for name, value in os.environ.items() if not name.startswith(dropped)}


SKIPS = {
    "in the test": "import pytest\ndef test_it(): pytest.skip('no reason')\n",
    "by a mark": "import pytest\n@pytest.mark.skip(reason='no reason')\ndef test_it(): pass\n",
    "of the module": "import pytest\npytest.skip('no reason', allow_module_level=True)\n",
    "of an import": "import pytest\npytest.importorskip('no_such_module')\ndef test_it(): pass\n",
}


@pytest.mark.parametrize("how", SKIPS)
@pytest.mark.parametrize("jobs", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_a_skip_fails_in_ci_and_only_there(suite: Path, how: str, jobs: tuple[str, ...]) -> None:
    here = run_suite(suite, SKIPS[how], *jobs)
    in_ci = run_suite(suite, SKIPS[how], *jobs, CI="true")

    assert here.returncode in (0, 5), here.stdout
    assert in_ci.returncode in (1, 2), in_ci.stdout
    assert "skipped in CI" in in_ci.stdout


def test_sql_server_tests_may_be_skipped_in_ci_and_expected_failures_stay_expected(suite: Path) -> None:
    source = "import pytest\n@pytest.mark.mssql\ndef test_a(): 1/0\n@pytest.mark.xfail\ndef test_b(): 1/0\n"

    without_server = run_suite(suite, source, CI="true")
    with_server = run_suite(suite, source, CI="true", MERGEGUARD_TEST_MSSQL_URL="mssql+pyodbc://host/db")

    assert "1 skipped, 1 xfailed" in without_server.stdout
    assert with_server.returncode == 1, with_server.stdout


def test_long_tests_are_left_out_and_not_skipped(suite: Path) -> None:
    source = "import pytest\n@pytest.mark.long\ndef test_a(): pass\ndef test_b(): pass\n"

    assert "1 passed, 1 deselected" in run_suite(suite, source, CI="true").stdout
    assert "2 passed" in run_suite(suite, source, "--long", CI="true").stdout


def test_counts_are_written_once_whatever_the_number_of_workers(suite: Path) -> None:
    source = "import pytest\ndef test_a(): pass\ndef test_b(): pass\ndef test_c(): 1/0\n"
    source += "def test_d(): pytest.skip('x')\n"

    run_suite(suite, source, MERGEGUARD_TEST_COUNTS="alone.txt")
    run_suite(suite, source, "-n", "2", MERGEGUARD_TEST_COUNTS="workers.txt")

    assert (suite / "alone.txt").read_text() == "2 1 1\n"
    assert (suite / "workers.txt").read_text() == "2 1 1\n"


HANGING = """
import os, sys, json, psycopg
def test_it(postgres_server):
    with psycopg.connect(postgres_server.url.replace("+psycopg", "")) as connection:
        [data] = connection.execute("SHOW data_directory").fetchone()
    pid = int(open(data + "/postmaster.pid").readline())
    with open(os.environ["REPORT"], "w") as report:
        json.dump({"postmaster": pid, "data": data}, report)
    sys.stdin.read()
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_run_leaves_no_server_behind(suite: Path, how: signal.Signals) -> None:
    report = suite / "report"
    os.mkfifo(report)
    (suite / "tests" / "test_of_suite.py").write_text(HANGING)
    run = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider"],
        cwd=suite,
        env=clean_environment() | {"REPORT": str(report)},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with run:
        facts = json.loads(report.read_text())
        server = os.pidfd_open(facts["postmaster"])
        run.send_signal(how)
        run.wait()

    ended, _, _ = select.select([server], [], [], 60)
    os.close(server)
    assert ended, "the server outlived its test run"


def test_a_broken_server_is_a_clear_failure(suite: Path) -> None:
    done = run_suite(suite, "def test_it(postgres_url): pass\n", MERGEGUARD_TEST_POSTGRES_VERSION="9")

    assert done.returncode == 1
    assert "MERGEGUARD_TEST_POSTGRES_VERSION=9: the wheel has 16 and 18" in done.stdout


def script(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", CHECKOUT / "scripts" / "test.sh", *arguments],
        cwd="/",
        env=clean_environment() | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_script_refuses_an_unknown_argument() -> None:
    done = script("--fast")

    assert (done.returncode, done.stderr) == (2, "usage: sh scripts/test.sh [--long]\n")


def test_the_script_says_which_python_it_needs() -> None:
    done = script(MERGEGUARD_TEST_PYTHON="/bin/false")

    assert done.returncode == 3
    assert "no Python 3.11 or newer found; name one with MERGEGUARD_TEST_PYTHON" in done.stderr


def test_no_test_ends_the_sessions_of_the_databases_beside_its_own() -> None:
    found = 0
    for path in sorted(TESTS.rglob("*.py")):
        text = path.read_text("utf-8")
        for place in ENDS_SESSIONS.finditer(text):
            found += 1
            told = text[place.start() : place.start() + 250]
            # The workers of a run share one server: a cut that names no database hits them all in what they do.
            assert NAMES_WHOSE.search(told) or "WAITING.replace" in text[place.start() - 40 : place.start()], (
                path,
                told,
            )
    assert found > 5
