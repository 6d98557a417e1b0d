"""What a message may hold beside a catalogue; every refusal names a line and an element."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from importing_samples import (
    CATALOGUE,
    IDENTIFICATION,
    INSTALLED,
    NOTES,
    OWNED,
    RUN,
    SIZES,
    computer,
    guid,
    key,
    link,
    message,
    rows,
)

from mergeguard.core.importing.blocks import Block, updates
from mergeguard.core.importing.catalogue import DataClass
from mergeguard.core.importing.content import Content, checked, unknown_classes
from mergeguard.core.importing.keys import KeyRules
from mergeguard.core.importing.mapping import mapped
from mergeguard.core.nse.message import ClassData, Message, Resource, Row
from mergeguard.errors import MalformedEvent

PC = computer("pc", 1, "fqdn=a")
OTHER = computer("other", 2, "fqdn=b")
UNKNOWN = guid(0xBAD)


def content(*parts: object) -> Content:
    return checked(message(*parts), CATALOGUE, KeyRules())  # type: ignore[arg-type]


def blocks(*parts: object) -> list[Block]:
    """Return the blocks of a message, read."""
    return [each.read() for each in content(*parts).blocks]


def test_a_resource_that_no_key_could_find_again_needs_a_guid() -> None:
    with pytest.raises(MalformedEvent, match=r"^line \d+, <resource>: it has neither .* but tag, by which"):
        content(computer("odd", None, "tag=1"))
    assert content(computer("odd", 3, "tag=1")).resources[0].sent == guid(3)
    assert content(computer("odd", None, "tag=1", "FQDN=a")).resources[0].sent is None


def numbered(data: ClassData) -> ClassData:
    """Put the rows on lines 11, 12 and so on, and the block on line 10."""
    return replace(data, line=10, rows=tuple(Row(row.cells, 11 + at) for at, row in enumerate(data.rows)))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (rows(IDENTIFICATION, "pc", ("a",), ("b",)), r"^line 12, <row>: Identification has one row a resource"),
        (rows(IDENTIFICATION, "pc", ("x" * 21,)), r"^line 11, <row>: c0 of Identification: column Name takes 20"),
        (
            rows(IDENTIFICATION, "pc", ("a", "many")),
            r"^line 11, <row>: c1 of Identification: column Disk takes a whole",
        ),
        (
            rows(IDENTIFICATION, "pc", ("a", 1, None, "d")),
            r"^line 11, <row>: it has a cell c3, and Identification ends",
        ),
        (rows(INSTALLED, "pc", (None, "1")), r"^line 11, <row>: c0 of Installed software: column Software needs"),
        (
            rows(INSTALLED, "pc", (guid(9), "1"), (guid(9), "2")),
            r"^line 12, <row>: the row of line 11 has the same key",
        ),
        (rows(RUN, "pc", ()), r"^line 11, <row>: c0 of Software execution: column Program needs a value"),
        (rows(RUN, "pc", ("a",), partial=True), r"^line 10, <resource>: rows of Software execution are added"),
        (rows(NOTES, "pc", ("a",), partial=True), r"^line 10, <resource>: Notes has no key columns"),
        (rows(INSTALLED, "pc", (None, "1"), partial=True), r"^line 11, <row>: c0 of Installed software"),
        (rows(IDENTIFICATION, "pc", ("a",), ("b",), partial=True), r"^line 12, <row>: Identification has one row"),
        (rows(SIZES, "pc", ("a", ""), partial=True), r"^line 11, <row>: c1 of Sizes: column Size needs a value"),
        (
            ClassData(UNKNOWN, rows(NOTES, "pc").resource, ()),
            r"^line 10, <resource>: the data class of its rows 0+-.*bad",
        ),
        (rows(NOTES, "nobody", ("a",)), r"^line 10, <resource>: what its rows are for is 'nobody', the ref of no res"),
        (rows(NOTES, 0, ("a",)), r"^line 10, <resource>: what its rows are for is no resource"),
    ],
)
def test_rows_that_do_not_fit_are_refused_with_their_place(data: ClassData, words: str) -> None:
    with pytest.raises(MalformedEvent, match=words):
        blocks(PC, numbered(data))


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (replace(PC, type=UNKNOWN, line=3), r"^line 3, <resource>: the resource type 0+-.*bad is not in the catalogue"),
        (replace(PC, guid=None, keys=(), line=3), r"^line 3, <resource>: it has neither a guid nor a key"),
        (replace(OTHER, ref="pc", line=3), r"^line 3, <resource>: another resource of the message has the ref 'pc'"),
        (replace(OTHER, name="x" * 251, line=3), r"^line 3, <resource>: its name has 251 characters"),
        (
            replace(OTHER, keys=(key("fqdn=" + "x" * 251),), line=3),
            r"^line 3, <resource>: the value of its key fqdn has",
        ),
        (
            link(OWNED, "pc", 5)._replace(type=UNKNOWN, line=3),
            r"^line 3, <resourceAssociation>: the association type 0+-",
        ),
        (link(OWNED, "pc", "nobody")._replace(line=3), r"^line 3, <resourceAssociation>: the child is 'nobody'"),
    ],
)
def test_other_parts_that_do_not_fit_are_refused_with_their_place(part: Resource, words: str) -> None:
    with pytest.raises(MalformedEvent, match=words):
        content(PC, part)


def test_a_partial_and_a_whole_part_do_not_go_together() -> None:
    parts = rows(INSTALLED, "pc", (guid(9), "1")), rows(INSTALLED, "pc", (guid(8), "1"), partial=True)
    with pytest.raises(MalformedEvent, match="is a partial update, and another is not"):
        blocks(PC, *parts)


def test_what_is_for_one_resource_stands_together_however_it_is_named() -> None:
    [sent] = content(PC, computer("again", 1), *(rows(NOTES, which, (which,)) for which in ("pc", 1, "again"))).blocks
    assert (sent.meant, sent.read().rows) == (0, (("pc",), ("1",), ("again",)))
    with pytest.raises(MalformedEvent, match="this is the second one"):
        content(PC, rows(IDENTIFICATION, "pc", ("a",)), rows(IDENTIFICATION, 1, ("b",)))


def test_all_guids_of_a_message_are_known_beforehand() -> None:
    found = content(
        PC,
        computer("new", None, "fqdn=x"),
        rows(IDENTIFICATION, "pc", ("a", 1, guid(20))),
        rows(INSTALLED, 7, (guid(21), "1"), (guid(22), "1")),
        rows(RUN, "new", ("p", guid(23))),
        link(OWNED, "pc", 8),
        link(OWNED, 9, "pc"),
    )
    assert found.guids == set(map(guid, (1, 20, 7, 21, 22, 23, 8, 9)))


def test_a_partial_row_gives_what_it_gives() -> None:
    data = rows(INSTALLED, "pc", (guid(9), "2"), (guid(8), None), (guid(7), ""), partial=True)
    [block] = blocks(PC, data)
    assert updates(block) == [
        {"Software": guid(9), "Version": "2"},
        {"Software": guid(8)},
        {"Software": guid(7), "Version": ""},
    ]
    [block] = blocks(PC, rows(SIZES, "pc", ("a",), partial=True))
    assert updates(block) == [{"Disk": "a"}]


SOFTWARE = st.integers(1, 6)


@given(st.lists(st.tuples(SOFTWARE, st.text("ab", max_size=2)), unique_by=lambda row: row[0]), st.booleans())
def test_rows_that_became_one_are_one_and_the_current_one_stays(rows_: list[tuple[int, str]], partial: bool) -> None:
    data = rows(INSTALLED, "pc", *((guid(number), text or None) for number, text in rows_), partial=partial)
    [block] = blocks(PC, numbered(data))
    after = mapped(block, lambda one, _line: guid(one.int % 3))
    assert [row[0] for row in after.rows] == list(dict.fromkeys(row[0] for row in after.rows))
    assert {row[0] for row in after.rows} == {guid(number % 3) for number, _ in rows_}
    versions = {guid(number): text or None for number, text in rows_}
    for row in after.rows:
        same = [one for one in versions if guid(one.int % 3) == row[0]]
        assert row[1] == versions[row[0] if row[0] in versions else same[0]]
    assert len(after.lines) == len(after.rows) == (len(updates(after)) if partial else len(after.rows))
    assert list(after.lines) == sorted(after.lines), "rows stay in the order of the message"


@given(st.lists(st.sampled_from([1, 2]), max_size=4))
def test_events_and_rows_without_key_columns_all_stay(numbers: list[int]) -> None:
    [block] = blocks(PC, rows(RUN, "pc", *(("p", guid(number)) for number in numbers)))
    assert mapped(block, lambda _one, _line: guid(1)).rows == (("p", guid(1)),) * len(numbers)


def test_the_line_of_a_foreign_key_is_told() -> None:
    told: list[tuple[uuid.UUID, int]] = []

    def current(one: uuid.UUID, line: int) -> uuid.UUID:
        told.append((one, line))
        return one

    [block] = blocks(PC, numbered(rows(IDENTIFICATION, "pc", ("a", 1, guid(5)))))
    mapped(block, current)
    assert told == [(guid(5), 11)]


@given(st.sampled_from([IDENTIFICATION, INSTALLED, RUN, NOTES]), st.lists(st.none() | st.text(max_size=3), max_size=5))
def test_any_row_is_taken_whole_or_refused(data_class: DataClass, cells: list[str | None]) -> None:
    made = ClassData(data_class.guid, rows(data_class, "pc").resource, (Row(tuple(cells), 7),), line=6)
    told = ""
    found: list[Block] = []
    try:
        found = [each.read() for each in checked(Message("", (PC,), (), (made,)), CATALOGUE, KeyRules()).blocks]
    except MalformedEvent as refused:
        told = refused.message
    assert bool(found) is not told.startswith("line 7, <row>: ")
    assert [len(row) for block in found for row in block.rows] == [len(data_class.columns)] * len(found)


def test_a_resource_need_not_say_its_type_but_a_type_that_it_says_is_known() -> None:
    assert [each.type for each in content(computer("pc", 1, kind=None)).resources] == [None]
    with pytest.raises(MalformedEvent, match=f"<resource>: the resource type {UNKNOWN} is not in the catalogue"):
        content(computer("pc", 1, kind=UNKNOWN))


@pytest.mark.parametrize(
    ("part", "unknown"),
    [
        (PC, False),
        (computer("pc", 1, kind=None), False),
        (computer("pc", 1, kind=UNKNOWN), True),
        (rows(NOTES, 1, ("a",)), False),
        (rows(replace(NOTES, guid=UNKNOWN), 1, ("a",)), True),
        (link(OWNED, 1, 2), False),
        (link(replace(OWNED, guid=UNKNOWN), 1, 2), True),
    ],
)
def test_a_message_that_names_what_the_catalogue_has_not_is_known_before_all_else(
    part: object, *, unknown: bool
) -> None:
    assert unknown_classes(message(PC, part, PC), CATALOGUE) is unknown  # type: ignore[arg-type]


def test_what_refers_to_no_resource_is_refused_before_it_is_known_whether_the_data_changed() -> None:
    with pytest.raises(MalformedEvent, match=r"^line 11, <row>: c0 of Installed software: column Software takes"):
        content(PC, numbered(rows(INSTALLED, "pc", ("no guid", "1"))))
