"""What importers make of messages, on dictionaries."""

from __future__ import annotations

import uuid
from collections.abc import Collection

import pytest
from importing_model import Transaction, merge
from importing_samples import (
    IDENTIFICATION,
    INSTALLED,
    NOTES,
    OWNED,
    RUN,
    SOFTWARE,
    USES,
    World,
    computer,
    guid,
    key,
    link,
    message,
    rows,
)

from mergeguard.core.importing.keys import COMPUTER
from mergeguard.core.nse import write
from mergeguard.core.nse.message import Key
from mergeguard.errors import EventParked, GuidNotFound, MalformedEvent, MergeRefused

PC = computer("pc", 1, "fqdn=pc1", "serial=4711", name="PC1")


@pytest.fixture
def world() -> World:
    return World()


def test_a_new_computer_comes_with_all_that_is_said_of_it(world: World) -> None:
    software = computer("word", 9, "hash=9", kind=SOFTWARE, name="Word")
    world.send(
        PC,
        software,
        rows(IDENTIFICATION, "pc", ("PC1", 80, guid(9))),
        rows(INSTALLED, "pc", (guid(9), "2.0")),
        rows(RUN, "pc", ("word.exe", guid(9))),
        link(USES, "pc", "word"),
    )
    assert {each: (item.type, item.name) for each, item in world.tables.items.items()} == {
        guid(1): (COMPUTER, "PC1"),
        guid(9): (SOFTWARE, "Word"),
    }
    assert world.keys(1) == {"fqdn=pc1", "serial=4711"}
    assert world.rows(IDENTIFICATION, 1) == [("PC1", 80, guid(9))]
    assert world.rows(INSTALLED, 1) == [(guid(9), "2.0")]
    assert world.rows(RUN, 1) == [("word.exe", guid(9))]
    assert world.links(USES) == {(1, 9)}


def test_a_resource_without_a_name_is_called_by_its_first_key(world: World) -> None:
    world.send(computer("a", 1, "fqdn=pc1"), computer("b", 2))
    assert [item.name for item in world.tables.items.values()] == ["pc1", str(guid(2))]


def test_a_guid_that_the_sender_does_not_know_is_the_same_at_each_try(world: World) -> None:
    world.send(computer("pc", None, "fqdn=pc1"), event=7)
    [made] = world.tables.items
    for event, same in ((7, True), (8, False)):
        other = World()
        other.send(computer("pc", None, "fqdn=pc1"), event=event)
        assert (made in other.tables.items) is same


def test_keys_are_united_and_none_is_taken_away(world: World) -> None:
    world.send(PC)
    world.send(computer("pc", 1, "FQDN=PC1", "fqdn=pc2"))
    assert world.keys(1) == {"fqdn=pc1", "serial=4711", "fqdn=pc2"}


def test_the_name_that_a_resource_has_stays(world: World) -> None:
    world.send(PC)
    world.send(computer("pc", 1, "fqdn=pc1", name="other"))
    assert world.tables.items[guid(1)].name == "PC1"


def test_resources_that_share_a_key_are_merged_with_the_key_in_the_row(world: World) -> None:
    world.send(PC, rows(NOTES, "pc", ("old",)))
    world.send(computer("pc", 2, "uniqueid=u"))
    world.send(computer("pc", 2, "uniqueid=u", "fqdn=PC1"))
    assert world.tables.merges == [(guid(1), guid(2), "fqdn=PC1")]
    assert set(world.tables.items) == {guid(2)}
    assert world.keys(2) == {"uniqueid=u", "fqdn=pc1", "serial=4711"}
    assert world.rows(NOTES, 2) == [("old",)]


def test_a_merge_that_is_refused_does_not_stop_the_event(world: World) -> None:
    world.merging.never = [frozenset((guid(1), guid(2)))]
    world.send(PC)
    world.send(computer("pc", 2, "uniqueid=u"))
    world.send(computer("pc", 2, "uniqueid=u", "fqdn=pc1"), rows(NOTES, "pc", ("mine",)))
    assert not world.tables.merges
    assert world.rows(NOTES, 2) == [("mine",)]
    assert world.keys(2) == {"uniqueid=u", "fqdn=pc1"}


def test_a_merge_that_others_were_in_the_way_of_is_tried_once_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, refusals = world.merging.merge, ["shadowed-live"]

    def refusing(*asked: object) -> None:
        if refusals:
            raise MergeRefused("somebody is at it", reason=refusals.pop())
        honest(*asked)  # type: ignore[arg-type]

    monkeypatch.setattr(world.merging, "merge", refusing)
    for times in (1, 2):
        world.send(computer("pc", 10 * times, f"fqdn={times}"))
        world.send(computer("pc", 10 * times + 1, f"uniqueid={times}"))
        refusals[:] = ["shadowed-live"] * times
        world.send(computer("pc", None, f"fqdn={times}", f"uniqueid={times}"))
        assert len(world.tables.merges) == 1, "what is refused twice stays apart"


def test_computers_stay_apart_where_that_is_set() -> None:
    world = World(computer_resource_merge_settings=1)
    world.send(PC)
    world.send(computer("pc", 2, "uniqueid=u"))
    world.send(computer("pc", 2, "uniqueid=u", "fqdn=pc1"))
    assert not world.tables.merges
    assert set(world.tables.items) == {guid(1), guid(2)}


@pytest.mark.parametrize(
    ("settings", "shared"),
    [
        ({}, "fqdn=To be filled by O.E.M."),
        ({"ignored_key_values": "Dummy Name"}, "fqdn=dummy-name"),
        ({"invalid_mac_addresses": "00-50-56-c0-00-08"}, "macaddress=005056C00008"),
        ({"computer_resource_key_filter": "uniqueid; fqdn"}, "fqdn=shared"),
    ],
)
def test_what_says_nothing_merges_nobody(settings: dict[str, str], shared: str) -> None:
    world = World(**settings)
    world.send(computer("pc", 1, "macaddress=a1", shared))
    world.send(computer("pc", 2, "macaddress=b2", shared))
    assert set(world.tables.items) == {guid(1), guid(2)}
    world = World(ignored_key_values="", invalid_mac_addresses="")
    world.send(computer("pc", 1, "macaddress=a1", shared))
    world.send(computer("pc", 2, "macaddress=b2", shared))
    assert set(world.tables.items) == {guid(1)}


def test_two_resources_of_one_message_that_share_a_key_are_one(world: World) -> None:
    world.send(
        computer("a", 1, "fqdn=pc"),
        computer("b", 2, "fqdn=pc"),
        rows(IDENTIFICATION, "a", ("A", 1)),
        rows(IDENTIFICATION, "b", ("B", 2)),
        rows(RUN, "a", ("a.exe",)),
        rows(RUN, 2, ("b.exe",)),
        link(USES, "a", "b"),
    )
    assert set(world.tables.items) == {guid(1)}
    assert world.rows(IDENTIFICATION, 1) == [("A", 1, None)]
    assert world.rows(RUN, 1) == [("a.exe", None), ("b.exe", None)]
    assert not world.tables.links


def test_every_guid_of_a_message_is_mapped(world: World) -> None:
    for number in (1, 2, 3, 4):
        world.send(computer("pc", number, f"fqdn=pc{number}"))
    for number in (8, 9):
        world.send(computer("s", number, f"hash={number}", kind=SOFTWARE))
    merge(world.tables, guid(1), guid(2))
    merge(world.tables, guid(3), guid(4))
    merge(world.tables, guid(8), guid(9))
    world.send(
        computer("pc", 1, "fqdn=pc1"),
        rows(IDENTIFICATION, "pc", ("x", 1, guid(3))),
        rows(INSTALLED, "pc", (guid(8), "8"), (guid(9), "9")),
        rows(RUN, 1, ("p", guid(8))),
        link(USES, "pc", 3),
        link(USES, 4, "pc"),
        link(OWNED, 1, 8),
        link(OWNED, 1, 2),
    )
    assert world.rows(IDENTIFICATION, 2) == [("x", 1, guid(4))]
    assert world.rows(INSTALLED, 2) == [(guid(9), "9")]
    assert world.rows(RUN, 2) == [("p", guid(9))]
    assert world.links(USES) == {(2, 4), (4, 2)}
    assert world.links(OWNED) == {(2, 9)}


def test_the_newest_is_the_later_registration_and_not_the_later_import(world: World) -> None:
    world.send(PC, rows(IDENTIFICATION, "pc", ("five", 5)), rows(RUN, "pc", ("5.exe",)), event=5)
    world.send(PC, rows(IDENTIFICATION, "pc", ("four", 4)), rows(RUN, "pc", ("4.exe",)), event=4)
    assert world.rows(IDENTIFICATION, 1) == [("five", 5, None)]
    assert world.rows(RUN, 1) == [("5.exe", None), ("4.exe", None)]
    world.send(PC, rows(IDENTIFICATION, "pc", ("six", 6)), event=6)
    assert world.rows(IDENTIFICATION, 1) == [("six", 6, None)]


def test_the_same_data_again_count_as_newer(world: World) -> None:
    world.send(PC, rows(IDENTIFICATION, "pc", ("a", 1)), event=5)
    world.send(PC, rows(IDENTIFICATION, "pc", ("a", "01")), event=9)
    world.send(PC, rows(IDENTIFICATION, "pc", ("b", 2)), event=7)
    assert world.rows(IDENTIFICATION, 1) == [("a", 1, None)]


def test_a_cleared_hash_loads_the_same_data_again(world: World) -> None:
    world.send(PC, rows(IDENTIFICATION, "pc", ("a", 1)))
    pair = IDENTIFICATION.guid, guid(1)
    world.tables.rows[pair] = []
    world.send(PC, rows(IDENTIFICATION, "pc", ("a", 1)))
    assert world.rows(IDENTIFICATION, 1) == []
    world.tables.summaries[pair] = 0, None, 2
    world.send(PC, rows(IDENTIFICATION, "pc", ("a", 1)))
    assert world.rows(IDENTIFICATION, 1) == [("a", 1, None)]


def test_rows_are_replaced_as_a_set(world: World) -> None:
    for number in (7, 8, 9):
        world.send(computer("s", number, f"hash={number}", kind=SOFTWARE))
    world.send(PC, rows(INSTALLED, "pc", (guid(7), "1"), (guid(8), "1")))
    world.send(PC, rows(INSTALLED, "pc", (guid(9), "1")))
    assert world.rows(INSTALLED, 1) == [(guid(9), "1")]
    world.send(PC, rows(INSTALLED, "pc"))
    assert world.rows(INSTALLED, 1) == []


def test_a_partial_update_changes_what_it_gives(world: World) -> None:
    for number in (8, 9):
        world.send(computer("s", number, f"hash={number}", kind=SOFTWARE))
    world.send(PC, rows(IDENTIFICATION, "pc", ("a", 1)), rows(INSTALLED, "pc", (guid(8), "1")))
    world.send(
        PC,
        rows(IDENTIFICATION, "pc", (None, 2), partial=True),
        rows(INSTALLED, "pc", (guid(9), "9"), (guid(8), "8"), partial=True),
        event=20,
    )
    assert world.rows(IDENTIFICATION, 1) == [("a", 2, None)]
    assert world.rows(INSTALLED, 1) == [(guid(8), "8"), (guid(9), "9")]
    assert world.tables.summaries[INSTALLED.guid, guid(1)] == (2, None, 20)
    world.send(PC, rows(IDENTIFICATION, "pc", (None, 3), partial=True), event=19)
    assert world.rows(IDENTIFICATION, 1) == [("a", 2, None)]


def test_of_links_beyond_what_is_allowed_the_newest_stays(world: World) -> None:
    people = [computer(f"u{number}", number, f"fqdn={number}") for number in (5, 6, 7)]
    world.send(PC, *people, link(OWNED, "pc", "u5"), event=10)
    world.send(PC, link(OWNED, "pc", 6), event=12)
    world.send(PC, link(OWNED, "pc", 7), event=11)
    assert world.links(OWNED) == {(1, 6)}


def test_a_message_may_hold_nothing(world: World) -> None:
    world.send()
    world.post(write(message()))
    assert world.tables.said() == World().tables.said()


def test_what_is_meant_by_a_guid_may_stand_in_the_database_only(world: World) -> None:
    world.send(PC)
    world.send(rows(NOTES, 1, ("a",)), link(USES, 1, 1))
    assert world.rows(NOTES, 1) == [("a",)]


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (rows(NOTES, 99, ("a",)), r"^line \d+, <resource>: its rows are for 0+-.*63, and there is no such resource"),
        (link(USES, 99, "pc"), r"^line \d+, <resourceAssociation>: the parent is 0+-.*63"),
        (link(USES, "pc", 99), r"^line \d+, <resourceAssociation>: the child is 0+-.*63"),
        (rows(INSTALLED, "pc", (guid(99), "1")), r"^line \d+, <row>: it refers to 0+-.*63"),
        (rows(RUN, "pc", ("a", guid(99))), r"^line \d+, <row>: it refers to 0+-.*63"),
    ],
)
def test_a_guid_that_nobody_knows_is_told_and_nothing_is_written(world: World, part: object, words: str) -> None:
    before = world.tables.said()
    with pytest.raises(GuidNotFound, match=words):
        world.send(PC, part)  # type: ignore[arg-type]
    assert world.tables.said() == before


def test_guids_in_a_circle_park_the_event(world: World) -> None:
    for number in (2, 3, 4):
        world.send(computer("pc", number, f"fqdn=pc{number}"))
    merges = world.tables.merges
    merges += [(guid(2), guid(3), None), (guid(3), guid(2), None), (guid(4), guid(1), None), (guid(4), guid(5), None)]
    for number in (2, 3, 4):
        del world.tables.items[guid(number)]
    before = world.tables.said()
    with pytest.raises(EventParked, match=r"lead nowhere: 0+-.*2 \(cycle\), 0+-.*4 \(split\)") as parked:
        world.send(PC, rows(IDENTIFICATION, "pc", ("a", 1, guid(2))), link(USES, "pc", 4))
    assert (parked.value.guids, parked.value.status) == ((guid(2), guid(4)), "cycle")
    assert world.tables.said() == before
    with pytest.raises(EventParked, match="lead nowhere"):
        world.send(PC, source=guid(3))
    with pytest.raises(EventParked, match="lead nowhere"):
        world.send(computer("pc", None, "fqdn=pc2"))  # the owner of its key is in the circle


def test_a_class_that_was_added_meanwhile_is_found(world: World) -> None:
    world.send(PC)
    later = world.tables.catalogue
    world.store.kept = type(later)(types=later.types)
    world.send(PC, rows(NOTES, "pc", ("a",)))
    assert world.rows(NOTES, 1) == [("a",)]


def test_a_bad_character_is_told_with_its_place(world: World) -> None:
    with pytest.raises(MalformedEvent, match=r"line 2, column"):
        world.post(b"<message>\n<to>\x03</to></message>")


def test_many_parked_guids_are_cut(world: World) -> None:
    numbers = range(1000, 1150)
    world.tables.merges += [(guid(each), guid(each), None) for each in numbers]
    with pytest.raises(EventParked, match="and 147 more") as parked:
        world.send(PC, *(link(USES, "pc", each) for each in numbers))
    assert len(parked.value.guids) == 100


def test_keys_that_the_database_holds_for_equal_do_not_stop_the_event(world: World) -> None:
    class Collated(Transaction):
        """Compares as SQL Server does."""

        def add_keys(self, guid: uuid.UUID, keys: Collection[Key]) -> None:
            known = {each.value.replace("ß", "ss") for each in self.tables.keys[guid]}
            super().add_keys(guid, [each for each in keys if each.value.replace("ß", "ss") not in known])

    world.store.opened = Collated
    world.send(computer("pc", 1, "fqdn=strasse"))
    world.send(computer("pc", 1, "fqdn=stra\u00dfe"), rows(NOTES, "pc", ("a",)))
    assert world.keys(1) == {"fqdn=strasse"}
    assert world.rows(NOTES, 1) == [("a",)]


def test_a_key_of_many_names_is_kept_as_sent(world: World) -> None:
    world.send(computer("pc", 1, "Fqdn=A", "fqdn=B"))
    assert world.tables.keys[guid(1)] == [key("Fqdn=A"), key("fqdn=B")]
