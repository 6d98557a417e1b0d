"""The guard refuses a write if, and only if, networkx finds that it makes a cycle, a self-merge or a conflict."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from guard_model import GUIDS, Guarded, Pair, reason, refusals, row_by_row
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from mergeguard.storage.cells.guid_spelling import usual

SHARED = [HealthCheck.function_scoped_fixture]
PAIRS = st.tuples(st.sampled_from(GUIDS), st.sampled_from(GUIDS))
FORESTS = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 5)), max_size=6).map(
    lambda drawn: list({old: (GUIDS[old], GUIDS[max(new, old + 1)]) for old, new in drawn}.values())
)
TABLES = st.one_of(st.lists(PAIRS, max_size=8), FORESTS)


@pytest.fixture(params=["sqlite", "postgresql"])
def guarded(request: pytest.FixtureRequest, tmp_path: Path) -> Guarded:
    lite = f"sqlite:///{tmp_path}/guarded.db"
    made = Guarded(lite if request.param == "sqlite" else request.getfixturevalue("postgres_url"))
    made.install()
    return made


def spelled(guarded: Guarded, pairs: Sequence[Pair]) -> list[tuple[Any, Any]]:
    return [(str(old), str(new)) if guarded.kind == "sqlite" else (old, new) for old, new in pairs]


def agree(guarded: Guarded, write: Any, expected: set[str]) -> None:
    """Hold what a write comes to against what is expected; refused, it leaves everything as it was."""
    rows = guarded.rows()
    if not expected:
        write()
        return
    with pytest.raises(sa.exc.IntegrityError) as refused:
        write()
    assert reason(refused.value) in expected
    assert guarded.rows() == rows


@settings(max_examples=20, suppress_health_check=SHARED)
@given(table=TABLES, written=st.lists(PAIRS, min_size=1, max_size=4))
def test_an_insert_of_several_rows(guarded: Guarded, table: list[Pair], written: list[Pair]) -> None:
    guarded.put(spelled(guarded, table))
    expected = refusals(table, [*table, *written])
    note(str(expected))
    agree(guarded, lambda: guarded.insert(len(table), spelled(guarded, written)), expected)


@st.composite
def updates(draw: st.DrawFn) -> tuple[list[Pair], list[tuple[int, Pair]]]:
    table = draw(TABLES.filter(bool))
    places = draw(st.lists(st.sampled_from(range(len(table))), min_size=1, max_size=3, unique=True))
    changes = [(place, draw(st.one_of(PAIRS, st.just(table[place])))) for place in sorted(places)]
    return table, changes


@settings(max_examples=20, suppress_health_check=SHARED)
@given(drawn=updates())
def test_an_update_of_several_rows(guarded: Guarded, drawn: tuple[list[Pair], list[tuple[int, Pair]]]) -> None:
    table, changes = drawn
    guarded.put(spelled(guarded, table))
    told = [(place, spelled(guarded, [pair])[0]) for place, pair in changes]
    if guarded.kind == "sqlite":
        expected = row_by_row(table, changes)
    else:
        replaced = dict(changes)
        expected = refusals(table, [replaced.get(place, pair) for place, pair in enumerate(table)])
    agree(guarded, lambda: guarded.update(told), expected)


SPELLINGS = {
    "usual": st.sampled_from(range(8)),
    "any": st.sampled_from(range(12)),
}


def in_spelling(guid: uuid.UUID, way: int) -> str:
    mixed = str(guid)[:9] + str(guid)[9:].upper()
    return (*usual(guid), f" ({guid}) ", guid.urn, mixed, f"\t{guid.hex}")[way]


@settings(max_examples=20, suppress_health_check=SHARED)
@given(
    data=st.data(), table=TABLES, written=st.lists(PAIRS, min_size=1, max_size=3), way=st.sampled_from(["usual", "any"])
)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_texts_in_several_spellings(
    kind: str, tmp_path: Path, text_url: str, data: st.DataObject, table: list[Pair], written: list[Pair], way: str
) -> None:
    guarded = Guarded(text_url, guid_type="varchar(50)")
    ways = SPELLINGS[way]

    def told(pairs: Sequence[Pair]) -> list[tuple[str, str]]:
        return [(in_spelling(old, data.draw(ways)), in_spelling(new, data.draw(ways))) for old, new in pairs]

    rows = told(table)
    guarded.put(rows)
    guarded.install()
    new = told(written)
    strange = not all(text in usual(uuid.UUID(text.strip(" ()\t"))) for pair in rows for text in pair)
    expected = refusals(table, [*table, *written])
    if not strange and any(
        text not in usual(guid)
        for pair, row in zip(written, new, strict=True)
        for guid, text in zip(pair, row, strict=True)
    ):
        expected = expected | {"spelling"}
    agree(guarded, lambda: guarded.insert(len(table), new), expected)


@pytest.fixture
def text_url(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    return f"sqlite:///{tmp_path}/texts.db" if kind == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@settings(max_examples=15, suppress_health_check=SHARED)
@given(table=TABLES, written=st.lists(PAIRS, min_size=1, max_size=3))
def test_guids_as_bytes(kind: str, text_url: str, table: list[Pair], written: list[Pair]) -> None:
    guarded = Guarded(text_url, guid_type="blob" if kind == "sqlite" else "bytea")
    guarded.put([(old.bytes, new.bytes) for old, new in table])
    guarded.install()
    expected = refusals(table, [*table, *written])
    agree(guarded, lambda: guarded.insert(len(table), [(old.bytes, new.bytes) for old, new in written]), expected)


def test_a_text_among_bytes_is_refused(tmp_path: Path) -> None:
    guarded = Guarded(f"sqlite:///{tmp_path}/bytes.db", guid_type="blob")
    guarded.put([(GUIDS[0].bytes, GUIDS[1].bytes)])
    guarded.install()
    with pytest.raises(sa.exc.IntegrityError, match="mergeguard: spelling"):
        guarded.insert(1, [(str(GUIDS[1]), GUIDS[0].bytes)])


def test_deleted_ones_lead_nowhere(guarded: Guarded) -> None:
    one, other, third = spelled(guarded, [(GUIDS[0], GUIDS[1]), (GUIDS[2], GUIDS[3]), (GUIDS[4], GUIDS[5])])
    guarded.insert(0, [(one[0], None), (other[0], None)])
    guarded.insert(2, [(one[0], None)])  # the same once more
    with pytest.raises(sa.exc.IntegrityError, match="mergeguard: conflict"):
        guarded.insert(3, [(one[0], third[0])])
    guarded.insert(3, [(third[0], one[0])])


def test_what_is_no_guid_is_no_merge(tmp_path: Path) -> None:
    guarded = Guarded(f"sqlite:///{tmp_path}/bad.db")
    guarded.install()
    guarded.insert(0, [("no guid", "no guid"), (None, str(GUIDS[0])), (str(GUIDS[0]), "gone")])
    guarded.insert(3, [("no guid", "other")])
    assert len(guarded.rows()) == 4


def chain(length: int) -> Iterator[tuple[str, str]]:
    names = [str(uuid.UUID(int=number + 1)) for number in range(length + 1)]
    return pairwise(names)


def test_a_chain_of_100_000_is_walked_to_its_end(guarded: Guarded) -> None:
    length = 100_000
    guarded.put(list(chain(length)))
    first, last = str(uuid.UUID(int=1)), str(uuid.UUID(int=length + 1))
    with pytest.raises(sa.exc.IntegrityError, match="mergeguard: cycle"):
        guarded.insert(length, [(last, first)])
    guarded.insert(length, [(last, str(GUIDS[0]))])


def test_a_tangle_is_walked_once(guarded: Guarded) -> None:
    """Each of many guids leads to all others: a walk that forgets where it was would never end."""
    names = [str(uuid.UUID(int=number + 1)) for number in range(60)]
    guarded.put([(old, new) for old in names for new in names])
    guarded.insert(3600, [(str(GUIDS[0]), names[0]), (str(GUIDS[1]), names[1])])
    with pytest.raises(sa.exc.IntegrityError, match="mergeguard: conflict"):
        guarded.insert(3602, [(names[0], str(GUIDS[2]))])


def test_an_insert_that_may_replace_or_ignore_is_refused_as_any_other(tmp_path: Path) -> None:
    guarded = Guarded(f"sqlite:///{tmp_path}/or.db")
    guarded.install()
    guarded.insert(0, [(str(GUIDS[0]), str(GUIDS[1]))])
    for way in ("IGNORE", "REPLACE", "FAIL"):
        with pytest.raises(sa.exc.IntegrityError, match="mergeguard: cycle"):
            guarded.run(f"INSERT OR {way} INTO \"{guarded.table}\" VALUES (7, '{GUIDS[1]}', '{GUIDS[0]}', 0)")
    assert len(guarded.rows()) == 1


def test_copy_is_refused_as_an_insert(postgres_url: str) -> None:
    guarded = Guarded(postgres_url)
    guarded.install()
    connection = guarded.engine.raw_connection()
    with closing(connection), connection.driver_connection.cursor() as cursor:

        def copied() -> None:
            with cursor.copy(f'COPY "{guarded.table}" FROM STDIN') as copy:
                copy.write_row((0, GUIDS[0], GUIDS[1], 0))
                copy.write_row((1, GUIDS[1], GUIDS[0], 0))

        with pytest.raises(Exception, match="mergeguard: cycle"):
            copied()
    assert guarded.rows() == []


def test_a_write_of_no_row_touches_no_guard_row(postgres_url: str) -> None:
    guarded = Guarded(postgres_url)
    guarded.install()
    guarded.insert(0, [(GUIDS[0], GUIDS[1])])
    guarded.run(f'UPDATE "{guarded.table}" SET "Note" = 5', f'INSERT INTO "{guarded.table}" SELECT 1 WHERE false')
    with guarded.engine.connect() as connection:
        assert connection.exec_driver_sql(f"SELECT turn FROM {guarded.guard}").scalar() == 1
