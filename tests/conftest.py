"""What all tests share: Hypothesis profiles, `--long`, no silent skips in CI, and one PostgreSQL server a run.

tests/README.md says where a test goes and what the environment variables do.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import hypothesis
import pytest

TESTS = Path(__file__).parent
IN_CI = os.environ.get("CI", "").lower() not in ("", "0", "false")
MSSQL_URL = os.environ.get("MERGEGUARD_TEST_MSSQL_URL")
RUN = pytest.StashKey["Run"]()

# 25 and not 100: there are many properties, and a run of all of them has 20 minutes on 2 cores.
hypothesis.settings.register_profile("default", deadline=None, max_examples=25, derandomize=IN_CI, print_blob=True)
hypothesis.settings.register_profile("long", deadline=None, max_examples=2000, print_blob=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="the long run: more examples, and the tests marked long")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "storage: reads or writes a database; set by conftest, see tests/README.md")
    if not config.getoption("--hypothesis-profile", None):
        hypothesis.settings.load_profile("long" if config.getoption("--long") else "default")
    worker = getattr(config, "workerinput", None)
    config.stash[RUN] = Run(Path(worker["run_folder"])) if worker else Run.begin()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """Tell an xdist worker where the run's folder is."""
    node.workerinput["run_folder"] = str(node.config.stash[RUN].folder)  # type: ignore[attr-defined]


def pytest_unconfigure(config: pytest.Config) -> None:
    if RUN in config.stash:
        config.stash[RUN].end()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = []
    for item in items:
        if TESTS / "storage" in item.path.parents or "postgres_server" in getattr(item, "fixturenames", ()):
            item.add_marker("storage")
        if item.get_closest_marker("mssql") and not MSSQL_URL:
            item.add_marker(pytest.mark.skip(reason="MERGEGUARD_TEST_MSSQL_URL is not set"))
        if item.get_closest_marker("long") and not config.getoption("--long"):
            left_out.append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


# --- In CI a skip is a failure: what did not run proves nothing. Only SQL Server may be missing. ---


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail") and not item.get_closest_marker("mssql"):
        report.outcome, report.longrepr = "failed", f"skipped in CI: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    report = yield
    if IN_CI and report.skipped:
        report.outcome, report.longrepr = "failed", f"skipped in CI: {report.longrepr}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Append the counts to the file that scripts/test.sh adds up."""
    counts = os.environ.get("MERGEGUARD_TEST_COUNTS")
    if counts and not hasattr(terminalreporter.config, "workerinput"):
        stats = terminalreporter.stats
        numbers = [len(stats.get("passed", ())), len(stats.get("failed", ())) + len(stats.get("error", ()))]
        numbers.append(len(stats.get("skipped", ())))
        with Path(counts).open("a") as file:
            file.write(" ".join(map(str, numbers)) + "\n")


# --- PostgreSQL ---


@dataclass(frozen=True)
class PostgresServer:
    """A running server. ``url`` is a superuser's, with its password."""

    url: str
    bin: Path | None = None
    """Where psql and the others are; ``None`` for a server that somebody else runs."""

    def connect(self) -> object:
        """Open an administrator's autocommit psycopg connection."""
        import psycopg  # noqa: PLC0415 - only tests with a server need the driver

        return psycopg.connect(self.url.replace("+psycopg", "", 1), autocommit=True)

    def execute(self, *statements: str) -> None:
        with closing(self.connect()) as connection:
            for statement in statements:
                connection.execute(statement)  # type: ignore[attr-defined]


@dataclass
class Run:
    """The folder by which the processes of one test run find their one server."""

    folder: Path
    alive: IO[str] | None = None
    """Held locked by the main process alone; see postgres_server.py."""

    @classmethod
    def begin(cls) -> Run:
        folder = Path(tempfile.mkdtemp(prefix="mergeguard-tests-"))
        alive = (folder / "alive").open("w")
        fcntl.flock(alive, fcntl.LOCK_EX)
        return cls(folder, alive)

    def server(self) -> PostgresServer:
        """Return the run's server, starting it if this is the first process to ask."""
        with (self.folder / "starting").open("w") as starting:
            fcntl.flock(starting, fcntl.LOCK_EX)
            ready = self.folder / "ready.json"
            if not ready.exists():
                ready.write_text(self._start())
            said = json.loads(ready.read_text())
        if "error" in said:
            pytest.fail(said["error"], pytrace=False)
        return PostgresServer(said["url"], Path(said["bin"]))

    def _start(self) -> str:
        with (self.folder / "keeper.err").open("w") as errors:
            keeper = subprocess.Popen(
                [sys.executable, TESTS / "postgres_server.py", self.folder],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        (self.folder / "keeper.pid").write_text(str(keeper.pid))
        with keeper.stdout:
            said = keeper.stdout.readline()
        keeper.returncode = 0  # it outlives this process on purpose: no warning that it still runs
        return said or json.dumps({"error": (self.folder / "keeper.err").read_text()})

    def end(self) -> None:
        """Let the keeper go and wait until it has stopped the server."""
        if self.alive is None:
            return
        self.alive.close()
        if (self.folder / "kept").exists():
            with (self.folder / "kept").open() as kept:
                fcntl.flock(kept, fcntl.LOCK_SH)
        if self.folder.exists():
            self._sweep()

    def _sweep(self) -> None:
        """Do what a killed keeper could not."""
        pid_file = self.folder / "cluster" / "data" / "postmaster.pid"
        if pid_file.exists():
            os.kill(int(pid_file.read_text().split()[0]), signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> PostgresServer:
    """A real PostgreSQL: ours, one a run, or the one that MERGEGUARD_TEST_POSTGRES_URL names."""
    given = os.environ.get("MERGEGUARD_TEST_POSTGRES_URL")
    return PostgresServer(given) if given else pytestconfig.stash[RUN].server()


@pytest.fixture(scope="module")
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of a superuser in a database that this test module has to itself."""
    name = f"mergeguard_{secrets.token_hex(6)}"
    postgres_server.execute(f'CREATE DATABASE "{name}"')
    yield postgres_server.url.rpartition("/")[0] + "/" + name
    postgres_server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def login(server: PostgresServer, url: str, *rights: str) -> Iterator[str]:
    """Make a login with a password that needs quoting; yield its URL in the database of ``url``."""
    name = f"mergeguard_{secrets.token_hex(6)}"
    server.execute(f"""CREATE ROLE "{name}" LOGIN PASSWORD 'r#ad/{name}'""", *(f'{right} "{name}"' for right in rights))
    yield f"postgresql+psycopg://{name}:r%23ad%2F{name}@{url.rpartition('@')[2]}"
    server.execute(f'DROP ROLE "{name}"')


@pytest.fixture(scope="module")
def postgres_reader_url(postgres_server: PostgresServer, postgres_url: str) -> Iterator[str]:
    """The URL of a login that may read every table of ``postgres_url`` and write none."""
    yield from login(postgres_server, postgres_url, "GRANT pg_read_all_data TO")


@pytest.fixture(scope="module")
def postgres_stranger_url(postgres_server: PostgresServer, postgres_url: str) -> Iterator[str]:
    """The URL of a login that may connect to ``postgres_url`` and see nothing in it."""
    yield from login(postgres_server, postgres_url)
