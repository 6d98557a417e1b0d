"""Commands on a real server: what goes wrong there is told, with a hint and without a password."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote

import pytest

ROWS = [("1", "2"), ("2", "3"), ("3", "1"), ("4", "1")]


def guid(name: str) -> str:
    return f"00000000-0000-4000-8000-00000000000{name}"


@pytest.fixture(scope="module")
def table(postgres_server: object, postgres_url: str) -> str:
    """A cycle of three and a guid that leads into it, on the server."""
    import psycopg  # noqa: PLC0415 - tests with a server alone need it

    with psycopg.connect(postgres_url.replace("+psycopg", "", 1), autocommit=True) as connection:
        connection.execute("CREATE TABLE merges (id serial PRIMARY KEY, old uuid, new uuid)")
        for old, new in ROWS:
            connection.execute("INSERT INTO merges (old, new) VALUES (%s, %s)", (guid(old), guid(new)))
    return postgres_url


@pytest.fixture
def names(folder: Path) -> list[str]:
    Path("profile.toml").write_text('name = "p"\n[merge]\ntable = "merges"\nold = "old"\nnew = "new"\nrow_id = "id"\n')
    return ["--profile", "profile.toml"]


def secret(url: str) -> str:
    return unquote(url.partition("://")[2].rpartition("@")[0].partition(":")[2])


def test_a_scan_with_a_login_that_may_only_read(
    table: str, names: list[str], postgres_reader_url: str, call: Callable
) -> None:
    ran = call("scan", postgres_reader_url, *names)
    assert (ran.code, ran.err) == (1, "")
    assert "3 guids lead in a circle; 1 more" in " ".join(ran.out.split())
    assert secret(postgres_reader_url) not in ran.out
    assert call("doctor", postgres_reader_url, *names).code == 0
    assert call("lookup", "build", postgres_reader_url, *names).refused(3, "permission")


def test_a_password_from_the_environment_or_from_a_file(
    table: str, names: list[str], postgres_reader_url: str, call: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    password = secret(postgres_reader_url)
    user, _, place = postgres_reader_url.partition("://")[2].rpartition("@")
    bare = f"postgresql://{user.partition(':')[0]}@{place}"
    monkeypatch.setenv("READER", password)
    Path("reader").write_text(f"{password}\nnot this line\n")
    for flags in (["--password-env", "READER"], ["--password-file", "reader"]):
        assert call("resolve", bare, guid("4"), *names, *flags).out.split()[-1] == "cycle"
    assert call("scan", bare, *names).refused(3, "--password-env")


def test_a_wrong_password(
    names: list[str], postgres_reader_url: str, call: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("READER", "hunter2 {wrong}")
    ran = call("scan", postgres_reader_url, *names, "--password-env", "READER")
    assert ran.refused(3, "--password-file")
    assert "hunter2" not in ran.err
    assert secret(postgres_reader_url) not in ran.err


def test_a_login_that_may_not_read_the_table(
    table: str, names: list[str], postgres_stranger_url: str, call: Callable
) -> None:
    ran = call("scan", postgres_stranger_url, *names)
    assert ran.refused(3, "merges")
    assert secret(postgres_stranger_url) not in ran.err


def test_a_server_that_is_not_there(names: list[str], call: Callable) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: whoever calls is refused
        ran = call("scan", f"postgresql://u:hunter2@127.0.0.1:{taken.getsockname()[1]}/d", *names)
    assert ran.refused(3, "127.0.0.1", "refused")
    assert "hunter2" not in ran.err


def test_a_database_that_is_not_there(names: list[str], postgres_url: str, call: Callable) -> None:
    assert call("scan", postgres_url + "_gone", *names).refused(3, "_gone", "does not exist")


@contextlib.contextmanager
def locked(url: str) -> object:
    import psycopg  # noqa: PLC0415 - tests with a server alone need it

    with psycopg.connect(url.replace("+psycopg", "", 1)) as other:
        other.execute("LOCK TABLE merges IN ACCESS EXCLUSIVE MODE")
        yield
        other.rollback()


def test_a_table_that_another_session_holds_locked(table: str, names: list[str], call: Callable) -> None:
    with locked(table):
        assert call("scan", table, *names, "--lock-timeout", "0.05").refused(3, "lock", "--lock-timeout")


def test_a_server_that_ends_the_session_in_the_middle(table: str, names: list[str], postgres_server: object) -> None:
    command = [sys.executable, "-m", "mergeguard", "scan", table, *names, "--lock-timeout", "5m"]
    with locked(table), closing(postgres_server.connect()) as administrator:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        waiting = (
            "SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
            "WHERE NOT l.granted AND a.datname = %s"
        )
        while process.poll() is None and not administrator.execute(waiting, [table.rpartition("/")[2]]).fetchall():
            pass
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (3, "")
    assert "Traceback" not in err
    assert "hint: nothing was written" in err
