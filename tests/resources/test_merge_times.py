"""By whatever counts the time the newest datum stays, as dictionaries say; what has no order is refused."""

from __future__ import annotations

import datetime as dt
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from merge_model import guid

from mergeguard.errors import MergeRefused
from mergeguard.resources.merge import merge, open_merges
from mergeguard.storage.profile import Live, Merge, Profile, Reference
from mergeguard.storage.source import Options
from mergeguard.storage.targets import open_target

A, B = guid(0), guid(1)
PROFILE = Profile(
    merge=Merge("Merges", row_id="Id"),
    live=Live("Alive", "Guid"),
    references=(Reference("Datum", "Guid", ("Guid",), "At"),),
)
EPOCH = dt.datetime(2001, 9, 9, tzinfo=dt.UTC)
UNITS: dict[str, Callable[[int], object]] = {
    "seconds": lambda at: 1_000_000_000 + at,
    "negative": lambda at: at - 500,
    "ticks": lambda at: 638_000_000_000_000_000 + at,
    "beyond any date": lambda at: 9_223_372_036_854_775_000 + at % 800,
    "days": lambda at: 2_460_000.5 + at / 1024,
    "texts of numbers": lambda at: str(1_000_000_000 + at),
    "times": lambda at: (EPOCH + dt.timedelta(seconds=at)).isoformat(),
    "times with zones": lambda at: (
        (EPOCH + dt.timedelta(seconds=at)).astimezone(dt.timezone(dt.timedelta(hours=at % 24 - 12))).isoformat()
    ),
}


class File:
    """A file with one datum a resource, in a column that holds anything."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(
                'CREATE TABLE "Merges" ("Id" INTEGER PRIMARY KEY, "OldGuid" TEXT, "NewGuid" TEXT, "At");'
                'CREATE TABLE "Alive" ("Guid" TEXT PRIMARY KEY); CREATE TABLE "Datum" ("Guid" TEXT, "Value" TEXT, "At")'
            )
        self.source = open_target(str(path), PROFILE, Options())

    def fill(self, *data: tuple[uuid.UUID, str, object]) -> None:
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            for table in ("Merges", "Alive", "Datum"):
                connection.execute(f'DELETE FROM "{table}"')
            connection.executemany('INSERT INTO "Alive" VALUES (?)', [(str(A),), (str(B),)])
            rows = [(str(one), value, at) for one, value, at in data]
            connection.executemany('INSERT INTO "Datum" VALUES (?, ?, ?)', rows)
            connection.commit()

    def data(self) -> list[tuple[str, str]]:
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute('SELECT "Guid", "Value" FROM "Datum"').fetchall()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[File]:
    made = File(tmp_path_factory.mktemp("times") / "times.db")
    yield made
    made.source.close()


@pytest.mark.parametrize("unit", UNITS)
@given(st.integers(0, 999) | st.none(), st.integers(0, 999) | st.none())
def test_the_newest_datum_stays_whatever_counts_the_time(
    file: File, unit: str, old: int | None, new: int | None
) -> None:
    told = [None if at is None else UNITS[unit](at) for at in (old, new)]
    file.fill((A, "old", told[0]), (B, "new", told[1]))
    merge(file.source, PROFILE, A, B)
    order = [None if at is None else at % 800 if unit == "beyond any date" else at for at in (old, new)]
    newer = order[0] is not None and (order[1] is None or order[0] > order[1])
    assert file.data() == [(str(B), "old" if newer else "new")]


@pytest.mark.parametrize(
    "pair", [(1_000_000_000, "2001-09-09"), ("soon", 5), ("2001-09-09", "yesterday"), (b"\1\2", 3)]
)
def test_what_has_no_order_is_refused_and_nothing_is_written(file: File, pair: tuple[object, object]) -> None:
    file.fill((A, "old", pair[0]), (B, "new", pair[1]))
    with open_merges(file.source, PROFILE):
        before = file.path.read_bytes()
    seen = merge(file.source, PROFILE, A, B, preview=True)
    with pytest.raises(MergeRefused) as caught:
        merge(file.source, PROFILE, A, B)
    assert caught.value.reason == "unordered-time"
    assert "Datum.At" in caught.value.message
    assert seen.refused is not None
    assert seen.refused.reason == "unordered-time"
    assert file.path.read_bytes() == before


def test_one_datum_competes_with_none(file: File) -> None:
    file.fill((A, "old", "whenever"))
    merge(file.source, PROFILE, A, B)
    assert file.data() == [(str(B), "old")]


@pytest.mark.parametrize(
    ("declared", "held"), [("INTEGER", None), ("INTEGER", 1_000_000_000), ("", 1.5), ("TEXT", None)]
)
def test_the_time_of_a_merge_is_not_written_among_numbers(tmp_path: Path, declared: str, held: object) -> None:
    path = tmp_path / "merges.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            f'CREATE TABLE "Merges" ("Id" INTEGER PRIMARY KEY, "OldGuid" TEXT, "NewGuid" TEXT, "At" {declared})'
        )
        if held is not None:
            row = (
                'INSERT INTO "Merges" ("OldGuid", "NewGuid", "At") VALUES (?, ?, ?)',
                [str(guid(7)), str(guid(8)), held],
            )
            connection.execute(*row)
        connection.commit()
    timed = Profile(merge=Merge("Merges", row_id="Id", time="At"))
    source = open_target(str(path), timed, Options())
    try:
        if declared == "TEXT":
            assert "T" in str(merge(source, timed, A, B).row["At"])  # type: ignore[index]
            return
        before = path.read_bytes()
        with pytest.raises(MergeRefused) as caught:
            merge(source, timed, A, B)
        assert caught.value.reason == "unordered-time"
        assert path.read_bytes() == before
        untimed = Profile(merge=Merge("Merges", row_id="Id"))
        assert merge(source, untimed, A, B).row is not None
    finally:
        source.close()
