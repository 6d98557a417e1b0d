"""Which columns discovery takes for what, by samples made by hand: names first, then what the guids say."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from merge_model import guid

from mergeguard.core import guids
from mergeguard.integrity import candidates
from mergeguard.integrity.candidates import Identity, Pair, Weighed
from mergeguard.integrity.sampling import ColumnSample, GuidSet, TableSample
from mergeguard.storage.database.foreign_keys import ForeignKey

NUMBERS = st.sets(st.integers(0, 7))


def packed(numbers: Collection[int]) -> guids.Guids:
    return guids.from_uuids([guid(number) for number in numbers])


def column(name: str, numbers: Collection[int] = (1, 2), kind: str = "uniqueidentifier") -> ColumnSample:
    return ColumnSample(name, kind, packed(numbers))


def table(
    name: str, *samples: ColumnSample, more: Sequence[tuple[str, str]] = (), to: Sequence[ForeignKey] = ()
) -> TableSample:
    columns = [*((one.name, one.type) for one in samples), *more]
    return TableSample(name, columns, {one.name: one for one in samples}, to)


def identity(name: str, numbers: Collection[int]) -> Identity:
    one = column("Guid", numbers)
    return Identity(table(name, one), one, GuidSet(one.guids))


MERGES = table("ResourceMerge", column("OldGuid", [1, 2]), column("NewGuid", [3]))
PAIR = Pair(MERGES, MERGES.samples["OldGuid"], MERGES.samples["NewGuid"], 1.0, 1.0)


@pytest.mark.parametrize(
    ("by_table", "by_columns", "gap", "accepted"),
    [
        (0.1, 0.4, -1.0, True), (0.1, 0.39, 0.0, False), (0.0, 1.0, 0.49, False), (0.0, 0.5, 0.5, True),
        (0.0, 0.49, 1.0, False), (0.7, 0.0, 0.5, True), (0.69, 0.0, 1.0, False), (1.0, 0.0, 0.49, False),
    ],
)  # fmt: skip
def test_names_of_both_kinds_or_of_one_and_the_data_make_a_proposal(
    by_table: float, by_columns: float, gap: float, accepted: bool
) -> None:
    pair = replace(PAIR, table_name=by_table, column_names=by_columns)
    weighed = Weighed(pair, pair.old.guids, pair.new.guids, gap, None)
    assert weighed.accepted is accepted
    assert weighed.score == pytest.approx((by_table + by_columns + max(0.0, gap)) / 3)
    reasons = list(weighed.reasons)
    assert ("the table's name speaks" in reasons[0]) == bool(by_table)
    assert any("the columns' names speak" in reason for reason in reasons) == bool(by_columns)
    assert reasons[-1] == "OldGuid is uniqueidentifier, NewGuid is uniqueidentifier"


@given(olds=NUMBERS, news=NUMBERS, known=st.lists(NUMBERS, max_size=4))
def test_a_pair_is_held_against_the_resources_that_tell_most(
    olds: set[int], news: set[int], known: list[set[int]]
) -> None:
    resources = [identity(f"Table{at}", some) for at, some in enumerate(known)]
    own = Identity(MERGES, PAIR.old, GuidSet(packed(news)))
    weighed = candidates.weigh(PAIR, packed(sorted(olds)), packed(sorted(news)), [own, *resources])
    ends = news - olds
    assert set(guids.to_uuids(weighed.terminals)) == set(map(guid, ends))

    def gap(some: set[int]) -> float:
        return (len(ends & some) / len(ends) if ends else 0.0) - (len(olds & some) / len(olds) if olds else 0.0)

    gaps = [gap(some) for some in known if some]
    assert weighed.gap == pytest.approx(max(gaps, default=0.0))
    assert (weighed.where is None) == (not gaps)

    live, why = candidates.live_identity(weighed, [own, *resources])
    assert len(why) == 1
    if ends:
        fits = [some for some in known if len(ends & some) / len(ends) >= 0.5 and gap(some) >= 0.1]
        assert (live is None) == (not fits)
        if live is not None:
            assert gap(known[resources.index(live)]) == pytest.approx(max(map(gap, fits)))
    else:
        assert live is None


def test_without_merges_the_name_of_a_table_says_what_is_live_and_what_has_a_type() -> None:
    none = candidates.weigh(PAIR, guids.empty(), guids.empty(), [])
    things, items = identity("Things", [1]), identity("Item", [1])
    typed = replace(items, table=table("Item", items.column, more=[("TypeGuid", "uniqueidentifier")]))
    assert candidates.live_identity(none, [things, items])[0] is items
    assert candidates.live_identity(none, [things])[0] is None
    assert candidates.typed_identity(none, [things, typed])[0] == (typed, "TypeGuid")
    assert candidates.typed_identity(none, [things, items])[0] is None


def test_pairs_stand_with_the_most_promising_names_first_and_views_have_none() -> None:
    alias = table("Alias", column("FromGuid"), column("ToGuid"))
    other = table("Links", column("ChildGuid"), column("ParentGuid"))
    view = table("vResourceMerge", column("OldGuid"), column("NewGuid"))
    found = candidates.pairs([other, alias, view, MERGES])
    assert [str(pair) for pair in found][:2] == ["ResourceMerge (OldGuid -> NewGuid)", "Alias (FromGuid -> ToGuid)"]
    assert all(pair.promise > 0 for pair in found)
    assert {pair.table.name for pair in found} == {"ResourceMerge", "Alias"}


def test_who_is_pointed_to_is_an_identity_whatever_it_is_called() -> None:
    odd = table("Stuff", column("Handle"), column("Other"))
    pointing = table("Users", column("X"), to=[ForeignKey("X", "stuff", "HANDLE")])
    item, data = table("Item", column("Guid"), column("Twice", [])), table("Inv_A", column("Guid"))
    found = candidates.identities([data, odd, pointing, item])
    assert [(one.name, each.name) for one, each in found] == [("Item", "Guid"), ("Stuff", "Handle")]
    twice = ColumnSample("Guid", "uuid", guids.from_uuids([guid(1), guid(1)]))
    assert candidates.identities([table("Item", twice)]) == []


@given(st.permutations(["Source", "Resource", "Other"]))
def test_the_guid_of_a_table_of_keys_is_the_one_that_holds_resources(order: list[str]) -> None:
    numbers = {"Source": [8], "Resource": [1, 2], "Other": [1, 9]}
    samples = [column(name, numbers[name]) for name in order]
    texts = [("KeyName", "nvarchar(50)"), ("KeyValue", "nvarchar(250)"), ("ValueType", "int")]
    keys = candidates.keys_of(
        [table("Values", *samples, more=texts), table("ResourceKey", *samples, more=texts)], GuidSet(packed([1, 2]))
    )
    assert keys is not None
    assert (keys.table, keys.guid, keys.name, keys.value) == ("ResourceKey", "Resource", "KeyName", "KeyValue")
    assert candidates.keys_of([table("ResourceKey", *samples, more=texts[1:])], GuidSet(packed([1]))) is None


@pytest.mark.parametrize(
    ("columns", "row", "when", "why"),
    [
        ([("Id", "int"), ("MergedAt", "datetime"), ("Reason", "nvarchar(50)")], "Id", "MergedAt", "Reason"),
        ([("RowId", "nvarchar(9)"), ("Seq", "bigint"), ("CreatedDate", "text")], "Seq", "CreatedDate", None),
        ([("Number", "text"), ("Happened", "date"), ("Reason", "int")], "Number", "Happened", None),
        ([("Payload", "blob"), ("Modified", "int")], None, None, None),
        ([("MergedAt", "blob"), ("CreatedDate", "uniqueidentifier")], None, None, None),
        ([], None, None, None),
    ],
)
def test_the_columns_beside_old_and_new_are_told_by_name_and_type(
    columns: list[tuple[str, str]], row: str | None, when: str | None, why: str | None
) -> None:
    pair = replace(PAIR, table=table("ResourceMerge", PAIR.old, PAIR.new, more=columns))
    assert candidates.row_id_column(pair) == row
    assert candidates.time_column(pair) == when
    assert candidates.merge_key_column(pair) == why


@given(st.lists(st.uuids(version=4), min_size=1, max_size=6), st.booleans(), st.sampled_from(["blob", "text"]))
def test_the_order_of_bytes_is_the_one_in_which_guids_have_a_version(
    values: list[uuid.UUID], swapped: bool, kind: str
) -> None:
    plain = guids.from_uuids(values)
    stored = guids.swap_sql_server(plain) if swapped else plain
    odd = guids.swap_sql_server(stored)
    pair = replace(PAIR, old=ColumnSample("a", kind, stored), new=ColumnSample("b", kind, guids.empty()))
    versioned = [value.version in range(1, 9) and value.variant == uuid.RFC_4122 for value in guids.to_uuids(stored)]
    other = [value.version in range(1, 9) and value.variant == uuid.RFC_4122 for value in guids.to_uuids(odd)]
    better = sum(other) / len(other) > sum(versioned) / len(versioned) + 0.5
    assert candidates.byte_order(pair) == ("sqlserver" if better and kind == "blob" else "text")
    if not swapped:
        assert candidates.byte_order(pair) == "text"
