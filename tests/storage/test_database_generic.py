"""What every database target inherits, on a dialect that overrides nothing: names, statements, writes, errors."""

from __future__ import annotations

import sqlite3
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core import guids
from mergeguard.errors import MergeGuardError, UnknownSchema, WriteFailed
from mergeguard.storage.database.source import DatabaseSource, nearest
from mergeguard.storage.lookup.database import LookupWriter
from mergeguard.storage.profile import Lookup, Merge, Profile
from mergeguard.storage.source import Column, GuidCells, Kind, LookupChange, Options, Selection

OLD, NEW = (uuid.uuid5(guids.NAMESPACE, name) for name in ("old", "new"))


@pytest.fixture
def target(tmp_path: Path) -> DatabaseSource:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute('CREATE TABLE "Merge.Log" (old BLOB, new TEXT, kind TEXT)')
        rows = [(OLD.bytes, str(NEW), "a"), (OLD.bytes, "nonsense", "a"), (None, str(NEW), "b'")]
        connection.executemany('INSERT INTO "Merge.Log" VALUES (?, ?, ?)', rows)
        connection.execute("CREATE VIEW shown AS SELECT old FROM [Merge.Log]")
    return DatabaseSource(
        sa.make_url(f"sqlite:///{path}"), Profile(merge=Merge("Merge.Log", "old", "new")), Options(batch_rows=2)
    )


def cells(snapshot: Any, selection: Selection) -> list[tuple[object, ...]]:
    def plain(column: Any) -> list[object]:
        if isinstance(column, GuidCells):
            return [column.bad.get(row, guids.to_uuid(column.column, row)) for row in range(len(column.column))]
        return list(column)

    return [row for batch in snapshot.read(selection) for row in zip(*map(plain, batch), strict=True)]


def test_rows_are_read_whatever_the_batch(target: DatabaseSource) -> None:
    with target.snapshot() as snapshot:
        wanted = Selection((Column("new", Kind.GUID), Column("kind", Kind.TEXT)))
        assert cells(snapshot, wanted) == [(NEW, "a"), ("nonsense", "a"), (NEW, "b'")]
        counted = Selection((Column("kind", Kind.TEXT),), counted=True)
        assert Counter(dict(cells(snapshot, counted))) == {"a": 2, "b'": 1}
        filtered = Selection((Column("old", Kind.GUID),), where=(("kind", "b'"), ("new", str(NEW))))
        assert cells(snapshot, filtered) == [(None,)]


def test_a_query_can_be_filtered_and_counted_too(target: DatabaseSource) -> None:
    query = "SELECT kind, old AS one FROM [Merge.Log] WHERE kind <> ':none%'"
    with target.snapshot() as snapshot:
        plain = Selection((Column("whatever", Kind.TEXT),), query=query)
        assert [kind for (kind,) in cells(snapshot, plain)] == ["a", "a", "b'"]
        counted = Selection((Column("one", Kind.GUID),), query=query, where=(("kind", "a"),), counted=True)
        assert cells(snapshot, counted) == [(OLD, 2)]


def test_a_query_with_too_few_columns_is_explained(target: DatabaseSource) -> None:
    wanted = Selection((Column("a", Kind.GUID), Column("b", Kind.GUID)), query="SELECT old FROM [Merge.Log]")
    with target.snapshot() as snapshot, pytest.raises(UnknownSchema, match="1 columns and 2 are needed"):
        cells(snapshot, wanted)


def test_names_are_found_as_one_name_and_as_schema_and_name(target: DatabaseSource) -> None:
    with target.snapshot() as snapshot:
        assert snapshot.has_table("Merge.Log")
        assert snapshot.has_table("main.shown")
        assert not snapshot.has_table("Shown")
        assert snapshot.tables() == ["Merge.Log", "shown"]
        assert snapshot.columns("Merge.Log") == [("old", "BLOB"), ("new", "TEXT"), ("kind", "TEXT")]
        with pytest.raises(UnknownSchema) as caught:
            snapshot.columns("MergeLog")
        assert "Merge.Log" in str(caught.value.hint)


@given(st.lists(st.text(min_size=1), unique=True), st.text())
def test_a_hint_names_only_what_exists(known: list[str], asked: str) -> None:
    hint = nearest(asked, known, "tables")
    assert hint
    assert not known or any(name in hint for name in known)


@pytest.mark.parametrize("near", ["ResourceMerge", "RESOURCE_MERGE", "ResourceMerges"])
def test_the_nearest_name_comes_first(near: str) -> None:
    assert nearest("resourcemerge", ["Item", "Zebra", near], "tables").startswith(f"did you mean {near}")


def test_what_the_consumer_raises_is_left_as_it_is(target: DatabaseSource) -> None:
    def stop(_phase: str, _done: int, _total: int | None) -> None:
        raise BrokenPipeError

    with target.snapshot() as snapshot, pytest.raises(BrokenPipeError):
        list(snapshot.read(Selection((Column("old", Kind.GUID),)), stop))


def test_no_password_is_shown(tmp_path: Path) -> None:
    url = sa.make_url("postgresql+psycopg://sa:top-secret@nowhere.invalid/base")
    for options in (Options(), Options(password="other-secret")):  # noqa: S106 - the password that must not show
        made = DatabaseSource(url, Profile(), options)
        assert "secret" not in repr(made.info)
        with pytest.raises(MergeGuardError) as caught, made.translated():
            raise OSError(f"could not log in with top-secret or {options.password}")
        assert "secret" not in str(caught.value)


def change(full: bool = True) -> LookupChange:
    yes, one = np.array([True]), np.array([1])
    column = guids.from_uuids([OLD])
    return LookupChange(column, guids.from_uuids([NEW]), yes, one, np.array([0], np.uint8), ["ok"], column[:0], full)


def stored(target: DatabaseSource) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(str(target.url.database))) as connection:
        return connection.execute("SELECT * FROM mergeguard_lookup").fetchall()


def test_a_lookup_is_made_written_and_changed(target: DatabaseSource) -> None:
    for full in (True, True, False):
        target.write_lookup(Lookup(), change(full))
        assert stored(target) == [(OLD.bytes, NEW.bytes, 1, "ok")]


@pytest.mark.parametrize("break_at", ["delete", "insert"])
def test_a_write_that_breaks_is_rolled_back_and_says_so(
    target: DatabaseSource, monkeypatch: pytest.MonkeyPatch, break_at: str
) -> None:
    target.write_lookup(Lookup(), change())
    kept: Callable[..., None] = getattr(LookupWriter, break_at)

    def broken(self: LookupWriter, *arguments: Any) -> None:
        kept(self, *arguments)
        self.connection.exec_driver_sql("INSERT INTO mergeguard_lookup VALUES (NULL, NULL, NULL, NULL)")

    monkeypatch.setattr(LookupWriter, break_at, broken)
    with pytest.raises(WriteFailed):
        target.write_lookup(Lookup(), change(full=False))
    assert stored(target) == [(OLD.bytes, NEW.bytes, 1, "ok")]


def test_sources_can_be_used_again_after_close(target: DatabaseSource) -> None:
    for _ in range(2):
        assert ("driver", "sqlite+pysqlite", True) in target.doctor()
        target.close()
