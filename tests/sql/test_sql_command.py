"""``sql`` as a DBA meets it: shown, written into a folder, asked for, installed, taken away."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from merge_model import guid
from sql_world import ask, plain

from mergeguard.storage.schema import migrate
from mergeguard.storage.scripts.files import scripts


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


def run(*arguments: object) -> Said:
    """Run the program in a process of its own, without a terminal."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MERGEGUARD_")}
    done = subprocess.run(
        [sys.executable, "-m", "mergeguard", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    return Said(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def url(postgres_url: str) -> str:
    ask(postgres_url, "DROP SCHEMA IF EXISTS mergeguard CASCADE")
    migrate(postgres_url)
    return postgres_url


def schema(url: str) -> list[tuple[object, ...]]:
    return ask(url, "SELECT 1 FROM pg_namespace WHERE nspname = 'mergeguard'")


def test_what_is_shown_runs_as_it_is(url: str, tmp_path: Path) -> None:
    shown = run("sql", "show", url)
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.count("-- MergeGuard SQL scripts, version ") == len(scripts("postgresql"))
    assert schema(url) == []
    written = run("sql", "show", url, "--output-dir", tmp_path / "sql")
    assert written.code == 0
    files = [Path(line) for line in written.out.splitlines()]
    assert [file.name for file in files] == [script.name for script in scripts("postgresql")]
    assert schema(url) == []
    with psycopg.connect(plain(url)) as connection:
        for file in files:
            if not file.name.startswith("99"):
                connection.execute(file.read_bytes())
    assert ask(url, "SELECT status FROM mergeguard.current_guid(%s)", [guid(1)]) == [("dangling",)]
    assert run("sql", "uninstall", url, "--data", "--yes").code == 0


def test_it_is_installed_and_taken_away(url: str) -> None:
    dry = run("sql", "install", url, "--dry-run")
    assert (dry.code, schema(url)) == (0, [])
    assert "99_uninstall" not in dry.out.partition("DROP")[0]
    assert "postgresql/80_guard.sql" not in dry.out, "its first line"
    asked = run("sql", "install", url)
    assert (asked.code, schema(url)) == (2, [])
    assert "nobody is at a terminal" in asked.err
    done = run("sql", "install", url, "--yes")
    assert (done.code, "scripts will make objects of their own" in done.err) == (0, True)
    names = [script.name for script in scripts("postgresql") if script.number < 80]
    assert done.out.splitlines() == [f"installed: postgresql/{name}" for name in names]
    assert schema(url) == [(1,)]
    assert run("sql", "install", url, "--yes").out == done.out
    assert "DROP SCHEMA" in run("sql", "uninstall", url, "--dry-run").out
    assert schema(url) == [(1,)]
    gone = run("sql", "uninstall", url, "--yes")
    assert (gone.code, gone.out) == (0, "run: postgresql/99_uninstall.sql\n")
    assert schema(url) == []
    assert ask(url, "SELECT count(*) FROM mergeguard_run") == [(0,)]
    both = run("sql", "uninstall", url, "--yes", "--data")
    assert both.out == "run: postgresql/99_uninstall.sql\nrun: postgresql/99_uninstall_data.sql\n"
    assert ask(url, "SELECT to_regclass('mergeguard_run')") == [(None,)]


def test_a_file_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "merges.csv"
    path.write_text("OldGuid,NewGuid\n")
    said = run("sql", "show", path)
    assert (said.code, said.out) == (3, "")
    assert "SQL scripts are for databases" in said.err


def test_a_login_that_may_not_is_told_so(url: str) -> None:
    ask(url, "DROP ROLE IF EXISTS nobody_at_all")
    ask(url, "CREATE ROLE nobody_at_all LOGIN PASSWORD 'x'")
    ask(url, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO nobody_at_all")
    _, _, where = url.partition("@")
    said = run("sql", "install", f"postgresql+psycopg://nobody_at_all:x@{where}", "--yes")
    assert (said.code, schema(url)) == (3, [])
    assert "permission" in said.err
    ask(url, "DROP OWNED BY nobody_at_all")
    ask(url, "DROP ROLE nobody_at_all")
