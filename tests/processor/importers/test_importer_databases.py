"""Importers through a real queue, on SQLite and PostgreSQL."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from importing_samples import OWNED, SOFTWARE, USES, computer, guid, link, rows

from mergeguard.core.events import Reason
from mergeguard.core.importing.catalogue import CellType, DataClass, DataColumn
from mergeguard.processor.handlers import EventBatch
from mergeguard.storage.importing.catalogue_file import CatalogueFile
from mergeguard.storage.importing.making import add_to_catalogue

IDENTIFICATION = DataClass(
    uuid.UUID("2b2a934a-b000-57f1-83f0-b840d59f1df2"), "Identification", "", multi_row=False, event=False
)
INSTALLED = DataClass(
    uuid.UUID("30f0a3d2-e154-5b00-adca-0f1fb7c3d22d"), "Installed software", "", multi_row=True, event=False
)
RUN = DataClass(uuid.UUID("bf68ab7f-845c-5eb3-a38a-52ecaac42768"), "Software execution", "", multi_row=True, event=True)
WORD, EXCEL = (computer(f"s{each}", each, f"hash={each}", kind=SOFTWARE) for each in (8, 9))


def texts(*numbers: int) -> tuple[str, ...]:
    return tuple(str(guid(number)) for number in numbers)


def test_a_message_becomes_rows_and_the_same_again_changes_nothing(imports: Any) -> None:
    parts = (
        computer("pc", 1, "fqdn=pc1", "serial=4711", name="PC1"),
        WORD,
        rows(IDENTIFICATION, "pc", ("PC1", "example", "Windows")),
        rows(INSTALLED, "pc", (guid(8), 1)),
        link(USES, "pc", "s8"),
    )
    for _ in range(2):
        event = imports.post(*parts, rows(RUN, "pc", ("word.exe", 0)), source=guid(1))
        imports.drain()
    assert imports.dead() == {}
    (one, eight) = texts(1, 8)
    assert imports.table("Item", "Guid", "Name") == [(one, "PC1"), (eight, "8")]
    assert imports.table("ItemResource", "Guid", "Status") == [(one, "active"), (eight, "active")]
    managed = imports.table("ItemResource", "Guid", "IsManaged")
    assert [each in ("True", "1") for _, each in managed] == [True, False]
    assert imports.table("ResourceKey", "ResourceGuid", "KeyName", "KeyValue") == [
        (one, "fqdn", "pc1"),
        (one, "serial", "4711"),
        (eight, "hash", "8"),
    ]
    assert imports.table("Inv_Identification", "_ResourceGuid", "Name", "OSName") == [(one, "PC1", "Windows")]
    assert imports.table("Inv_InstalledSoftware", "_ResourceGuid", "_SoftwareComponentGuid") == [(one, eight)]
    assert imports.table("Evt_Software_Execution", "_ResourceGuid", "Program") == [(one, "word.exe")] * 2
    assert imports.table("ResourceAssociation", "ParentResourceGuid", "ChildResourceGuid", "EventId") == [
        (one, eight, str(event))
    ]
    summaries = imports.table("ResourceUpdateSummary", "ResourceGuid", "RowCount", "LastEventId")
    assert summaries == [(one, "1", str(event))] * 2


def test_whole_numbers_of_64_bits_fit_in_the_sample_classes(imports: Any) -> None:
    numbers = (0xC0000005, 2**63 - 1, -(2**63))
    imports.post(
        computer("pc", 1, "fqdn=pc1"),
        WORD,
        rows(INSTALLED, "pc", (guid(8), max(numbers))),
        rows(RUN, "pc", *(("word.exe", number) for number in numbers)),
    )
    imports.drain()
    assert imports.dead() == {}
    assert imports.table("Inv_InstalledSoftware", "InstallFlag") == [(str(max(numbers)),)]
    assert sorted(int(found) for (found,) in imports.table("Evt_Software_Execution", "ExitCode")) == sorted(numbers)


def test_a_merge_by_key_moves_all_and_says_which_key(imports: Any) -> None:
    imports.post(
        computer("pc", 1, "fqdn=pc1"), rows(IDENTIFICATION, "pc", ("old", None, None)), rows(RUN, "pc", ("a",))
    )
    imports.post(WORD, EXCEL, computer("pc", 2, "uniqueid=u"), rows(INSTALLED, "pc", (guid(8), 1)))
    imports.drain()
    imports.post(
        computer("pc", 2, "uniqueid=u", "fqdn=PC1"),
        rows(INSTALLED, "pc", (guid(9), 1)),
        link(USES, "pc", 1),
        link(USES, "pc", 8),
    )
    imports.drain()
    assert imports.dead() == {}
    one, two, eight, nine = texts(1, 2, 8, 9)
    assert imports.table("ResourceMerge", "OldGuid", "NewGuid", "MergeKey") == [(one, two, "fqdn=PC1")]
    assert imports.table("ItemResource", "Guid") == [(two,), (eight,), (nine,)]
    assert imports.table("Inv_Identification", "_ResourceGuid", "Name") == [(two, "old")]
    assert imports.table("Evt_Software_Execution", "_ResourceGuid") == [(two,)]
    assert imports.table("Inv_InstalledSoftware", "_ResourceGuid", "_SoftwareComponentGuid") == [(two, nine)]
    assert imports.table("ResourceAssociation", "ParentResourceGuid", "ChildResourceGuid") == [(two, eight)]
    assert imports.table("ResourceKey", "ResourceGuid", "KeyValue")[:2] == [(two, "pc1"), (two, "u")]


def test_guids_of_a_merged_resource_are_mapped(imports: Any) -> None:
    imports.post(WORD, EXCEL, *(computer(f"c{each}", each, f"fqdn={each}") for each in (1, 2, 3)))
    imports.drain()
    imports.merge(guid(1), guid(2))
    imports.merge(guid(8), guid(9))
    imports.post(
        computer("pc", 1, "fqdn=1"),
        rows(INSTALLED, "pc", (guid(8), 1), (guid(9), 0)),
        rows(RUN, 1, ("a",)),
        link(OWNED, 1, 8),
        link(USES, 3, 1),
        link(USES, 1, 2),
        source=guid(1),
    )
    imports.drain()
    assert imports.dead() == {}
    two, three, nine = texts(2, 3, 9)
    assert imports.table("Inv_InstalledSoftware", "_ResourceGuid", "_SoftwareComponentGuid", "InstallFlag") == [
        (two, nine, "0")
    ]
    assert imports.table("Evt_Software_Execution", "_ResourceGuid") == [(two,)]
    assert imports.table("ResourceAssociation", "ParentResourceGuid", "ChildResourceGuid") == [
        (two, nine),
        (three, two),
    ]


def test_a_class_that_is_added_meanwhile_is_imported_and_remapped(imports: Any) -> None:
    owners = DataClass(
        guid(0xC9),
        "Owners",
        "Inv_Owners",
        multi_row=False,
        event=False,
        columns=(DataColumn("Owner", CellType.GUID, resource=True),),
    )
    imports.post(*(computer(f"c{each}", each, f"fqdn={each}") for each in (1, 2, 3)))
    imports.drain()
    add_to_catalogue(imports.imports, CatalogueFile(classes=(owners,)))
    imports.post(rows(owners, 1, (guid(2),)))
    imports.drain()
    imports.post(computer("pc", 3, "fqdn=2"))
    imports.drain()
    assert imports.dead() == {}
    one, two, three = texts(1, 2, 3)
    assert imports.table("ResourceMerge", "OldGuid", "NewGuid") == [(two, three)]
    assert imports.table("Inv_Owners", "_ResourceGuid", "Owner") == [(one, three)]


def test_a_partial_update_changes_what_it_gives_in_the_database(imports: Any) -> None:
    imports.post(
        WORD,
        EXCEL,
        computer("pc", 1, "fqdn=1"),
        rows(IDENTIFICATION, "pc", ("a", "b", "c")),
        rows(INSTALLED, "pc", (guid(8), 1)),
    )
    imports.post(
        rows(IDENTIFICATION, 1, (None, None, "C"), partial=True),
        rows(INSTALLED, 1, (guid(8), 0), (guid(9), None), partial=True),
    )
    imports.drain(fast_threads=1)
    assert imports.dead() == {}
    assert imports.table("Inv_Identification", "Name", "Domain", "OSName") == [("a", "b", "C")]
    eight, nine = texts(8, 9)
    assert imports.table("Inv_InstalledSoftware", "_SoftwareComponentGuid", "InstallFlag") == [
        (eight, "0"),
        (nine, None),
    ]
    assert [row for row in imports.table("ResourceUpdateSummary", "RowCount", "DataHash") if row[0] == "2"] == [
        ("2", None)
    ]


def test_an_event_that_fails_leaves_nothing_and_harms_no_neighbour(imports: Any) -> None:
    good = computer("pc", 1, "fqdn=1")
    imports.post(good, rows(IDENTIFICATION, "pc", ("a", None, None)))
    bad = [
        imports.post(computer("new", 2, "fqdn=2"), rows(IDENTIFICATION, "new", ("a",), ("b",))),
        imports.post(computer("new", 3, "fqdn=3"), rows(INSTALLED, "new", (guid(77), 1))),
        imports.post_body(b"<message><to>x</to>\n<body>\x03</body></message>"),
    ]
    imports.post(good, rows(RUN, "pc", ("after",)))
    imports.drain(event_retry_limit=1)
    dead = imports.dead()
    assert sorted(dead) == bad
    assert "<row>: Identification has one row a resource" in dead[bad[0]]
    assert f"<row>: it refers to {guid(77)}, and there is no such resource" in dead[bad[1]]
    assert dead[bad[2]].startswith("line 2, column")
    assert imports.table("Item", "Guid") == [texts(1)]
    assert imports.table("Evt_Software_Execution", "Program") == [("after",)]


def test_who_is_not_heard_is_dead_at_once(imports: Any) -> None:
    pc = computer("pc", 1, "fqdn=1")
    imports.post(pc, computer("other", 2, "fqdn=2"), source=guid(1))
    imports.drain()
    imports.execute('UPDATE "ItemResource" SET "Status" = \'retired\' WHERE "Guid" = :a', a=guid(1))
    refused = imports.post(pc, rows(RUN, "pc", ("a",)), source=guid(1))
    imports.post(pc, rows(IDENTIFICATION, "pc", ("back",)), source=guid(1))
    imports.drain()
    [dead] = imports.queue.dead()
    assert (dead.event.id, dead.event.tries, dead.failure.reason) == (refused, 1, Reason.REFUSED)
    assert imports.table("ItemResource", "Status") == [("active",), ("active",)]
    imports.merge(guid(1), guid(2))
    assert imports.table("AgentBlacklist", "Guid", "ReplacedBy") == [texts(1, 2)]
    listed = imports.post(pc, rows(RUN, "pc", ("refused",)), source=guid(1))
    imports.drain(black_listed_agents="refuse")
    assert f"its source {guid(1)} is on the black list" in imports.dead()[listed]
    imports.post(pc, rows(RUN, "pc", ("mapped",)), source=guid(1))
    imports.drain()
    assert imports.table("Evt_Software_Execution", "_ResourceGuid", "Program") == [(str(guid(2)), "mapped")]
    imports.execute('DELETE FROM "AgentBlacklist"')


def test_guids_in_a_circle_park_their_chain_alone(imports: Any) -> None:
    imports.post(computer("pc", 1, "fqdn=1"))
    imports.drain()
    for old, new in ((5, 6), (6, 5)):
        imports.execute(
            'INSERT INTO "ResourceMerge" ("OldGuid", "NewGuid", "MergedAt") VALUES (:a, :b, CURRENT_TIMESTAMP)',
            a=guid(old),
            b=guid(new),
        )
    stuck = imports.post(rows(RUN, 5, ("stuck",)), source=guid(1))
    imports.post(rows(RUN, 1, ("behind",)), source=guid(1))
    imports.post(rows(RUN, 1, ("beside",)), source=guid(2))
    imports.drain(left=2)
    [parked] = imports.queue.parked(limit=9)
    assert (parked.event.id, parked.parking.guids, parked.parking.status) == (stuck, (guid(5),), "cycle")
    assert imports.table("Evt_Software_Execution", "Program") == [("beside",)]
    imports.execute('UPDATE "ResourceMerge" SET "NewGuid" = :a WHERE "OldGuid" = :b', a=guid(1), b=guid(6))
    assert imports.queue.wake([stuck]) == 1
    imports.drain()
    assert imports.dead() == {}
    assert imports.table("Evt_Software_Execution", "_ResourceGuid", "Program") == [
        (str(guid(1)), each) for each in ("behind", "beside", "stuck")
    ]


def test_unchanged_inventory_costs_few_statements(imports: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = (
        computer("pc", 1, "fqdn=1", "macaddress=2", "uniqueid=3", "serial=4"),
        *(computer(f"s{each}", each, f"hash={each}", kind=SOFTWARE) for each in range(100, 150)),
        rows(IDENTIFICATION, "pc", ("a", "b", "c")),
        rows(INSTALLED, "pc", *((guid(each), 1) for each in range(100, 150))),
    )
    asked: list[str] = []
    added: list[str] = []
    _note(imports, asked, added, monkeypatch)
    imports.post(*parts)
    imports.drain()
    assert any("INSERT" in each for each in added)
    asked.clear()
    added.clear()
    imports.post(*parts)
    imports.drain()
    assert imports.dead() == {}
    assert len(asked) <= 6, asked  # owners, standings, hold (what is missing, then all), standings, summaries
    assert [each for each in added if 'UPDATE "ResourceUpdateSummary"' not in each] == []
    assert 1 <= len(added) <= 2  # one a class at most


def _note(imports: Any, asked: list[str], added: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Note the statements that importers ask, and those that they add to the unit of work."""
    ask, within = imports.imports.ask, imports.imports.within

    def noted_ask(connection: Any, sql: str, values: Any = ()) -> Any:
        asked.append(sql)
        return ask(connection, sql, values)

    def noted_within(batch: EventBatch) -> Any:
        transaction = within(batch)
        add = transaction.add

        def noted_add(sql: str, *values: Any) -> None:
            added.append(sql)
            add(sql, *values)

        transaction.add = noted_add
        return transaction

    monkeypatch.setattr(imports.imports, "ask", noted_ask)
    monkeypatch.setattr(imports.imports, "within", noted_within)
