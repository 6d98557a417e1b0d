"""The guard on a real SQL Server: put up, tried, raced at each isolation level, taken down."""

from __future__ import annotations

import secrets
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
import sqlalchemy as sa

from mergeguard.integrity.guard import guard_status, install_guard, remove_guard
from mergeguard.integrity.guard_proof import prove_guard
from mergeguard.storage.guard.mssql import ERRORS
from mergeguard.storage.mssql import source as mssql
from mergeguard.storage.profile import Merge, Merging, Profile
from mergeguard.storage.source import Options

pytestmark = pytest.mark.mssql
GUIDS = [uuid.uuid4() for _ in range(5)]
KINDS = {"uniqueidentifier": lambda guid: guid, "char(36)": str, "binary(16)": lambda guid: guid.bytes}


@pytest.fixture(params=KINDS)
def guarded(place: Any, request: pytest.FixtureRequest) -> Iterator[tuple[mssql.MssqlSource, Profile, Any]]:
    kind, spell = request.param, KINDS[request.param]
    table = place.fill("merges", {"id": "int IDENTITY PRIMARY KEY", "old": kind, "new": kind}, [])
    place.run(f"CREATE INDEX by_old ON {place.name('merges')} ([old])")
    guard = f"{place.schema}.guard_{secrets.token_hex(3)}"
    profile = Profile(merge=Merge(table, "old", "new", "id"), merging=Merging(guard=guard))
    with closing(mssql.MssqlSource(place.url, profile, Options(lock_timeout=30))) as source:
        install_guard(source, profile)
        yield source, profile, spell
        remove_guard(source, profile)


def insert(connection: Any, place: Any, spell: Any, *pairs: tuple[uuid.UUID, uuid.UUID]) -> None:
    marks = ", ".join("(?, ?)" for _ in pairs)
    values = tuple(spell(guid) for pair in pairs for guid in pair)
    connection.exec_driver_sql(f"INSERT INTO {place.name('merges')} ([old], [new]) VALUES {marks}", values)


def test_it_stands_and_proves_itself(guarded: Any) -> None:
    source, profile, _ = guarded
    status = guard_status(source, profile)
    assert (status.ok, status.problems, status.version) == (True, (), 1)
    assert not install_guard(source, profile).needed
    assert prove_guard(source, profile).holds


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [
        ([(0, 0)], "self-merge"),
        ([(0, 1), (0, 2)], "conflict"),
        ([(0, 1), (1, 0)], "cycle"),
        ([(0, 1), (1, 2), (2, 3), (3, 1)], "cycle"),
    ],
)
def test_one_statement_is_refused_whole(place: Any, guarded: Any, pairs: list[tuple[int, int]], reason: str) -> None:
    _, _, spell = guarded
    with pytest.raises(sa.exc.DBAPIError, match=f"mergeguard: {reason}") as refused, place.engine.begin() as connection:
        insert(connection, place, spell, *((GUIDS[old], GUIDS[new]) for old, new in pairs))
    assert str(ERRORS[reason]) in str(refused.value)  # type: ignore[index]
    assert place.value(f"SELECT COUNT(*) FROM {place.name('merges')}") == 0


def test_honest_merges_and_their_updates_pass(place: Any, guarded: Any) -> None:
    _, _, spell = guarded
    with place.engine.begin() as connection:
        insert(connection, place, spell, (GUIDS[0], GUIDS[1]), (GUIDS[1], GUIDS[2]))
        insert(connection, place, spell, (GUIDS[0], GUIDS[1]))
        connection.exec_driver_sql(f"UPDATE {place.name('merges')} SET [new] = [new]")
    with pytest.raises(sa.exc.DBAPIError, match="mergeguard: cycle"), place.engine.begin() as connection:
        connection.exec_driver_sql(
            f"UPDATE {place.name('merges')} SET [new] = ? WHERE [old] = ?", (spell(GUIDS[0]), spell(GUIDS[1]))
        )


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE", "SNAPSHOT"])
def test_two_that_merge_crosswise_do_not_both_commit(place: Any, guarded: Any, level: str) -> None:
    _, _, spell = guarded
    allowed = place.value("SELECT snapshot_isolation_state FROM sys.databases WHERE database_id = DB_ID()")
    if level == "SNAPSHOT" and allowed != 1:
        pytest.skip("the database does not allow SNAPSHOT isolation")
    begun = threading.Barrier(2, timeout=60)

    def session(pair: tuple[uuid.UUID, uuid.UUID]) -> bool:
        with place.engine.connect() as connection:
            connection.exec_driver_sql(f"SET TRANSACTION ISOLATION LEVEL {level}")
            connection.exec_driver_sql("SET LOCK_TIMEOUT 30000")
            connection.commit()
            begun.wait()
            try:
                insert(connection, place, spell, pair)
                connection.commit()
            except sa.exc.DBAPIError:
                return False
            return True

    with ThreadPoolExecutor(2) as pool:
        ends = list(pool.map(session, [(GUIDS[0], GUIDS[1]), (GUIDS[1], GUIDS[0])]))
    assert sum(ends) <= 1
    assert place.value(f"SELECT COUNT(*) FROM {place.name('merges')}") == sum(ends)
