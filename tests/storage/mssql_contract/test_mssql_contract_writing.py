"""Writing the lookup: all of it or nothing, whatever the merge table stores."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mergeguard import errors
from mergeguard.core import guids
from mergeguard.storage.mssql import source as mssql
from mergeguard.storage.source import Column, Kind, LookupChange, Selection

pytestmark = pytest.mark.mssql
SLOW = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
PLAIN = {"id": "int", "old": "uniqueidentifier", "new": "uniqueidentifier"}


Stored = dict[uuid.UUID, tuple[uuid.UUID | None, int | None, str]]
NAMES = ("ok", "cycle", "split")


def change(
    upserts: Stored, deletes: Sequence[uuid.UUID] = (), *, full: bool = False, names: Sequence[str] = NAMES
) -> LookupChange:
    rows = list(upserts.items())
    return LookupChange(
        guids.from_uuids([old for old, _ in rows]),
        guids.from_uuids([current or uuid.UUID(int=0) for _, (current, _, _) in rows]),
        np.array([current is not None for _, (current, _, _) in rows], np.bool_),
        np.array([-1 if depth is None else depth for _, (_, depth, _) in rows], np.int64),
        np.array([NAMES.index(status) for _, (_, _, status) in rows], np.uint8),
        names,
        guids.from_uuids(list(deletes)),
        full,
    )


def stored(place: Any, source: mssql.MssqlSource, table: str = "lookup") -> Stored:
    kinds = {"old_guid": Kind.GUID, "current_guid": Kind.GUID, "depth": Kind.INTEGER, "status": Kind.TEXT}
    selection = Selection(tuple(Column(name, kind) for name, kind in kinds.items()), f"{place.schema}.{table}")
    rows = zip(*place.read(source, selection), strict=True)
    return {old: (current, None if depth == -1 else depth, status) for old, current, depth, status in rows}  # type: ignore[misc]


ENTRIES = st.one_of(
    st.tuples(st.uuids(), st.integers(0, 2**31 - 1), st.just("ok")),
    st.tuples(st.none(), st.none(), st.sampled_from(NAMES[1:])),
)


@pytest.mark.parametrize("kind", ["uniqueidentifier", "char(36)", "binary(16)", "nvarchar(50)"])
@SLOW
@given(data=st.data())
def test_the_lookup_is_what_was_written(place: Any, kind: str, data: st.DataObject) -> None:
    place.run(f"IF OBJECT_ID(N'{place.name('lookup')}') IS NOT NULL DROP TABLE {place.name('lookup')}")
    place.fill("merges", {"id": "int", "old": kind, "new": kind}, [])
    model: Stored = data.draw(st.dictionaries(st.uuids(), ENTRIES, max_size=300))
    with closing(place.source(fast=False)) as source:
        source.write_lookup(place.lookup(), change(model, full=True))
        assert stored(place, source) == model
        upserts: Stored = data.draw(
            st.dictionaries(st.uuids() | st.sampled_from([*model, uuid.UUID(int=5)]), ENTRIES, max_size=20)
        )
        gone = [old for old in data.draw(st.sets(st.sampled_from([*model, uuid.UUID(int=6)]))) if old not in upserts]
        source.write_lookup(place.lookup(), change(upserts, gone))
        assert stored(place, source) == {old: row for old, row in (model | upserts).items() if old not in gone}


def test_many_rows_arrive(place: Any) -> None:
    place.fill("merges", PLAIN, [])
    model: Stored = {uuid.UUID(int=number << 64): (uuid.UUID(int=number), number, "ok") for number in range(1, 50_000)}
    with closing(place.source()) as source:
        source.write_lookup(place.lookup("many"), change(model, full=True))
        assert stored(place, source, "many") == model


def test_a_failed_write_leaves_the_old_lookup(place: Any) -> None:
    place.fill("merges", PLAIN, [])
    before: Stored = {uuid.uuid4(): (uuid.uuid4(), 1, "ok")}
    with closing(place.source()) as source:
        source.write_lookup(place.lookup("kept"), change(before, full=True))
        too_long = change(
            {uuid.uuid4(): (uuid.uuid4(), 1, "ok")}, names=("a status that is too long for its column", "b", "c")
        )
        with pytest.raises(errors.WriteFailed):
            source.write_lookup(place.lookup("kept"), too_long)
        assert stored(place, source, "kept") == before


def test_a_locked_lookup_is_not_written(place: Any) -> None:
    place.fill("merges", PLAIN, [])
    row: Stored = {uuid.uuid4(): (uuid.uuid4(), 1, "ok")}
    with closing(place.source(lock_timeout=0.2)) as source:
        source.write_lookup(place.lookup("busy"), change(row, full=True))
        with place.holding(f"UPDATE {place.name('busy')} SET depth = 2"), pytest.raises(errors.Locked):
            source.write_lookup(place.lookup("busy"), change({}, list(row)))
        assert stored(place, source, "busy") == row


def test_two_builds_do_not_run_at_once(place: Any) -> None:
    place.fill("merges", PLAIN, [])
    resource = f"mergeguard:{place.lookup('turn').table.casefold()}"
    take = f"EXEC sp_getapplock @Resource = N'{resource}', @LockMode = 'Exclusive', @LockOwner = 'Session'"
    with closing(place.source(lock_timeout=0.2)) as source, place.engine.connect() as other:
        other.exec_driver_sql(take).close()
        with pytest.raises(errors.Locked, match="another build"):
            source.write_lookup(place.lookup("turn"), change({}, full=True))


def test_a_table_that_is_no_lookup_is_left_alone(place: Any) -> None:
    place.fill("merges", PLAIN, [])
    place.fill("other", {"old_guid": "uniqueidentifier", "name": "varchar(10)"}, [(uuid.uuid4(), "x")])
    with closing(place.source()) as source, pytest.raises(errors.MergeGuardError):
        source.write_lookup(place.lookup("other"), change({}, full=True))
    assert place.value(f"SELECT COUNT(*) FROM {place.name('other')}") == 1


def test_a_login_that_may_not_write(place: Any, reader_url: sa.URL) -> None:
    with closing(place.source(url=reader_url)) as source, pytest.raises(errors.PermissionDenied) as caught:
        source.write_lookup(place.lookup("denied"), change({}))
    assert "CREATE TABLE" in str(caught.value.hint)
