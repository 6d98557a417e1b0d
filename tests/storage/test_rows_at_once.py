"""Many rows are looked for in few statements: without an index each of them reads the whole table."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from mergeguard.storage.profile import Merge, Profile
from mergeguard.storage.targets import open_target

PROFILE = Profile(merge=Merge("m", "old", "new"))
GUIDS = [uuid.uuid5(uuid.NAMESPACE_DNS, str(number)) for number in range(700)]


def looked_for(path: Path, column: str, wanted: Sequence[uuid.UUID]) -> tuple[list[str], int]:
    """The rows of some guids, and how many statements asked the table for them."""
    sent: list[str] = []
    with closing(open_target(str(path), PROFILE)) as source, source.snapshot() as snapshot:
        rows = source.rows(snapshot)
        snapshot.driver.set_trace_callback(sent.append)  # type: ignore[attr-defined]
        found = sorted(str(image["n"]) for image in rows.having("m", column, wanted))
    return found, sum('FROM "m" WHERE' in statement for statement in sent)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "m.db"
    with closing(sqlite3.connect(made)) as connection, connection:
        connection.execute("CREATE TABLE m (n INTEGER PRIMARY KEY, old TEXT, new TEXT)")
        connection.executemany("INSERT INTO m (old, new) VALUES (?, ?)", [(str(g), g.hex.upper()) for g in GUIDS])
        connection.execute("CREATE INDEX by_old ON m (old, new)")
        connection.execute("CREATE INDEX by_some_new ON m (new) WHERE n > 5")
    return made


@pytest.mark.parametrize("number", [0, 1, 17, 64, 65, 700])
def test_the_same_rows_are_found_with_an_index_and_without_in_one_statement(path: Path, number: int) -> None:
    wanted = [*GUIDS[:number], uuid.UUID(int=7)]
    indexed, looks = looked_for(path, "OLD", wanted)
    scanned, scans = looked_for(path, "new", wanted)
    assert len(indexed) == number
    assert indexed == scanned
    assert looks == -(-len(wanted) // 64)
    assert scans == 1
