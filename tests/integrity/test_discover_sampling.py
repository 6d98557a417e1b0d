"""Samples are bounded, whatever the target holds, and looking things up in them is exact."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core import guids
from mergeguard.errors import CannotCheck, PermissionDenied
from mergeguard.integrity.discover import MEMBER_ROWS, SAMPLE_ROWS, SECONDS, discover
from mergeguard.integrity.sampling import GuidSet, may_hold_guids, survey
from mergeguard.storage.source import Batch, GuidCells, Progress, Selection, TargetInfo, silent

BATCH = 100
Table = Mapping[str, Sequence[object]]


@dataclass
class FakeSource:
    """A target in memory; it counts the rows that were drawn from it."""

    data: Mapping[str, Table]
    forbidden: frozenset[str] = frozenset()
    info: TargetInfo = field(default_factory=lambda: TargetInfo("fake", "sqlite", "fake", "fake"))
    drawn: dict[str, int] = field(default_factory=dict)
    opened: int = 0

    @contextmanager
    def snapshot(self) -> Iterator[FakeSnapshot]:
        self.opened += 1
        yield FakeSnapshot(self)


@dataclass
class FakeSnapshot:
    source: FakeSource
    broken: bool = False

    def tables(self) -> Sequence[str]:
        return list(self.source.data)

    def columns(self, table: str) -> Sequence[tuple[str, str]]:
        return [(name, "TEXT") for name in self.source.data[table]]

    def read(self, selection: Selection, _progress: Progress = silent, _phase: str = "") -> Iterator[Batch]:
        table = str(selection.table)
        if self.broken:
            raise CannotCheck("the transaction is aborted")
        if table in self.source.forbidden:
            self.broken = True
            raise PermissionDenied(f"no SELECT on {table}")
        columns = [self.source.data[table][column.name] for column in selection.columns]
        for at in range(0, len(columns[0]), BATCH):
            parts = [column[at : at + BATCH] for column in columns]
            self.source.drawn[table] = self.source.drawn.get(table, 0) + len(parts[0])
            yield tuple(map(cells, parts))


def cells(values: Sequence[object]) -> GuidCells:
    column, good = guids.parse_column(values)
    bad = {at: None if values[at] is None else str(values[at])[:80] for at in np.flatnonzero(~good).tolist()}
    return GuidCells(column, bad)


def never() -> bool:
    return False


def numbered(*numbers: int) -> list[str]:
    return [str(uuid.UUID(int=number)) for number in numbers]


@given(st.lists(st.integers(0, 2**128 - 1), max_size=30), st.lists(st.integers(0, 2**128 - 1), max_size=30), st.data())
def test_a_guid_set_is_a_set(known: list[int], others: list[int], data: st.DataObject) -> None:
    wanted = [uuid.UUID(int=number) for number in [*others, *data.draw(st.permutations(known))]]
    members = [uuid.UUID(int=number) for number in known]
    held = GuidSet(guids.from_uuids(members)).holds(guids.from_uuids(wanted))
    assert held.tolist() == [guid in set(members) for guid in wanted]


@given(st.lists(st.integers(0, 5), max_size=8), st.lists(st.integers(0, 5), max_size=8))
def test_small_and_zero_guids_are_told_apart(known: list[int], wanted: list[int]) -> None:
    column = guids.from_uuids([uuid.UUID(int=number << 120) for number in known])
    held = GuidSet(column, column).holds(guids.from_uuids([uuid.UUID(int=number << 120) for number in wanted]))
    assert held.tolist() == [number in known for number in wanted]


@given(
    st.lists(
        st.one_of(st.none(), st.uuids().map(str), st.sampled_from(["", " ", "x", str(guids.EMPTY)])), max_size=250
    ),
    st.integers(1, 260),
)
def test_a_sample_counts_what_stands_there(values: list[str | None], rows: int) -> None:
    found = survey(FakeSource({"T": {"a": values, "b": values}}), rows, never, silent)  # type: ignore[arg-type]
    sample = found.tables[0].samples["b"]
    seen = values[:rows]
    good = [value for value in seen if value and guids.parse(value) not in (None, guids.EMPTY)]
    assert list(map(str, guids.to_uuids(sample.guids))) == good
    assert sample.malformed == seen.count("x")
    assert sample.blank == len(seen) - len(good) - sample.malformed


def test_the_bounds_are_those_of_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "profile.md").read_text("utf-8")
    told = f"first {SAMPLE_ROWS:,} rows", f"up to {MEMBER_ROWS:,} rows", f"about {SECONDS:.0f} seconds"
    assert [text for text in told if text not in page] == []


def test_no_more_is_drawn_than_a_sample_needs() -> None:
    source = FakeSource({"Long": {"a": numbered(*range(1, 2001)), "b": numbered(*range(1, 2001))}})
    survey(source, 150, never, silent)  # type: ignore[arg-type]
    assert source.drawn == {"Long": 2 * BATCH}


def test_a_table_that_cannot_be_read_is_a_note_and_the_rest_is_read_in_a_new_snapshot() -> None:
    names = ["A", "B", "C"]
    source = FakeSource({name: {"a": numbered(1)} for name in names}, frozenset({"B"}))
    found = survey(source, 10, never, silent)  # type: ignore[arg-type]
    assert [table.name for table in found.tables] == ["A", "C"]
    assert found.notes == ["table B was left out: no SELECT on B"]


def test_a_spent_budget_ends_the_looking() -> None:
    asked = iter([False, False, True, True])
    source = FakeSource({name: {"a": numbered(1)} for name in "ABCD"})
    found = survey(source, 10, lambda: next(asked), silent)  # type: ignore[arg-type]
    assert [table.name for table in found.tables] == ["A"]
    assert found.notes == ["the time budget ended before 3 of 4 tables were looked at"]


def test_a_budget_of_nothing_proposes_nothing() -> None:
    source = FakeSource({"ResourceMerge": {"OldGuid": numbered(1), "NewGuid": numbered(2)}})
    proposal = discover(source, seconds=0)  # type: ignore[arg-type]
    assert proposal.profile is None
    assert any("time budget" in note for note in proposal.notes)


def test_our_own_tables_are_left_out() -> None:
    source = FakeSource({"mergeguard_lookup": {"old_guid": numbered(1)}, "dbo.MergeGuard_journal": {"a": numbered(1)}})
    assert survey(source, 10, never, silent).tables == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "may"),
    [
        ("uniqueidentifier", True),
        ("UUID", True),
        ("BLOB", True),
        ("binary(16)", True),
        ("varbinary(8)", False),
        ("CHAR(36)", True),
        ("nvarchar(31)", False),
        ("character varying", True),
        ("TEXT", True),
        ("", True),
        ("NULL", True),
        ("INTEGER", False),
        ("timestamp with time zone", False),
        ("BOOLEAN", False),
    ],
)
def test_only_columns_that_may_hold_guids_are_sampled(kind: str, may: bool) -> None:
    assert may_hold_guids(kind) is may


OLD_NAMES = ["OldGuid", "old_id", "from_uuid", "SourceResourceId", "duplicate_gid", "retired_guid", "LoserGuid"]
NEW_NAMES = ["NewGuid", "new_id", "to_uuid", "TargetResourceId", "survivor_gid", "replaced_by", "WinnerGuid"]
MERGE_NAMES = ["ResourceMerge", "merged_items", "artist_gid_redirect", "dbo.AliasMap", "asset_dedup", "ReplacedDevices"]


@given(
    st.sampled_from(OLD_NAMES),
    st.sampled_from(NEW_NAMES),
    st.sampled_from(MERGE_NAMES),
    st.integers(2, 40),
    st.randoms(use_true_random=False),
)
def test_merges_are_found_under_any_usual_names(old: str, new: str, table: str, rows: int, random: object) -> None:
    """Olds are gone from the resources, news are in them; the order of tables and columns says nothing."""
    olds, news, others = (numbered(*range(start, start + rows)) for start in (1, 1001, 2001))
    columns = [(old, olds), (new, news), ("note", ["x"] * rows)]
    tables: list[tuple[str, Table]] = [
        ("Things", {"guid": news + others, "title": ["t"] * 2 * rows}),
        ("Links", {"parent_guid": news, "child_guid": others}),
    ]
    random.shuffle(columns)  # type: ignore[attr-defined]
    tables.append((table, dict(columns)))
    random.shuffle(tables)  # type: ignore[attr-defined]
    profile = discover(FakeSource(dict(tables))).profile  # type: ignore[arg-type]
    assert profile is not None
    assert (profile.merge.table, profile.merge.old, profile.merge.new) == (table, old, new)
    assert profile.live is not None
    assert (profile.live.table, profile.live.guid) == ("Things", "guid")
    assert {str(one) for one in profile.references} == {"Links.parent_guid", "Links.child_guid"}


def test_the_data_say_which_is_new_where_the_columns_do_not() -> None:
    olds, news = numbered(*range(1, 30)), numbered(*range(101, 130))
    source = FakeSource({"guid_merges": {"guid_a": news, "guid_b": olds}, "Items": {"guid": news}})
    profile = discover(source).profile  # type: ignore[arg-type]
    assert profile is not None
    assert (profile.merge.old, profile.merge.new) == ("guid_b", "guid_a")


def test_transfers_between_live_accounts_are_no_merges() -> None:
    accounts = numbered(*range(1, 30))
    source = FakeSource(
        {
            "transfers": {"from_account": accounts, "to_account": accounts[::-1]},
            "accounts": {"guid": accounts},
        }
    )
    proposal = discover(source)  # type: ignore[arg-type]
    assert proposal.profile is None
    assert [(one.role, one.chosen) for one in proposal.evidence] == [("merge table", False)]
