"""Messages that no importer takes: each is dead or parked with its line and element, and nothing of it is kept."""

from __future__ import annotations

import re
import uuid
from dataclasses import replace
from typing import Any

import pytest
from importing_samples import SOFTWARE, USES, computer, guid, link, message, rows

from mergeguard.core.events import Reason
from mergeguard.core.importing.catalogue import AssociationType, DataClass
from mergeguard.core.nse import write
from mergeguard.core.nse.message import Association, ClassData, Resource

IDENTIFICATION = DataClass(
    uuid.UUID("2b2a934a-b000-57f1-83f0-b840d59f1df2"), "Identification", "", multi_row=False, event=False
)
INSTALLED = DataClass(
    uuid.UUID("30f0a3d2-e154-5b00-adca-0f1fb7c3d22d"), "Installed software", "", multi_row=True, event=False
)
UNKNOWN = guid(0xBAD)
NEW = computer("new", 77, "fqdn=new")
"""Every message brings it; none of them leaves it."""

BAD: dict[str, tuple[tuple[Resource | ClassData | Association, ...], str]] = {
    "unknown data class": (
        (rows(replace(IDENTIFICATION, guid=UNKNOWN), "new", ("a",)),),
        rf"line \d+, <resource>: the data class of its rows {UNKNOWN} is not in the catalogue",
    ),
    "missing column": (
        (rows(INSTALLED, "new", (None, 1)),),
        r"line \d+, <row>: c0 of Installed software: column _SoftwareComponentGuid needs a value and has none",
    ),
    "a cell too many": (
        (rows(IDENTIFICATION, "new", ("a", "b", "c", "d")),),
        r"line \d+, <row>: it has a cell c3, and Identification ends at c2",
    ),
    "wrong type": (
        (rows(INSTALLED, "new", (guid(8), "yes")),),
        r"line \d+, <row>: c1 of Installed software: column InstallFlag takes a whole number of 64 bits, and this is",
    ),
    "two rows": (
        (rows(IDENTIFICATION, "new", ("a",), ("b",)),),
        r"line \d+, <row>: Identification has one row a resource, and this is the second one",
    ),
    "unknown association type": (
        (link(AssociationType(UNKNOWN, ""), "new", 8),),
        rf"line \d+, <resourceAssociation>: the association type {UNKNOWN} is not in the catalogue",
    ),
    "unknown resource type": (
        (computer("odd", None, "fqdn=odd", kind=UNKNOWN),),
        rf"line \d+, <resource>: the resource type {UNKNOWN} is not in the catalogue",
    ),
    "no type": (
        (computer("odd", 78, kind=None),),
        r"line \d+, <resource>: no such resource is known, and nothing says of what type it is",
    ),
    "nothing but keys that nobody filled in": (
        (computer("odd", None, "fqdn=To be filled by O.E.M."),),
        r"line \d+, <resource>: it has neither a guid nor a key that tells which resource it is",
    ),
    "nothing but keys that find nobody": (
        (computer("odd", None, "assettag=1"),),
        r"line \d+, <resource>: .* but assettag, by which its type is not found",
    ),
    "keys of another type": (
        (computer("odd", 8, "fqdn=odd"),),
        rf"line \d+, <resource>: its guid {guid(8)} leads to {guid(8)}, which is of type {SOFTWARE} and not of",
    ),
    "a row for nobody": (
        (rows(IDENTIFICATION, 99, ("a",)),),
        rf"line \d+, <resource>: its rows are for {guid(99)}, and there is no such resource",
    ),
    "a foreign key to nobody": (
        (rows(INSTALLED, "new", (guid(99), 1)),),
        rf"line \d+, <row>: it refers to {guid(99)}, and there is no such resource",
    ),
    "an association with nobody": (
        (link(USES, "new", 99),),
        rf"line \d+, <resourceAssociation>: the child is {guid(99)}, and there is no such resource",
    ),
}
BODIES = {
    "neither a guid nor keys": (
        write(message(NEW)).replace(b"</resources>", b'<resource name="x"/></resources>', 1),
        r"line \d+, <resource>: it has neither a guid nor a key",
    ),
    "a row for a label of nobody": (
        write(message(NEW, rows(IDENTIFICATION, "new", ("a",)))).replace(b'resourceRef="new"', b'resourceRef="who"'),
        r"line \d+, <resource>: 'who' is the ref of no resource of the message",
    ),
    "a document type": (b"<!DOCTYPE message><message/>", r"line 1: it has a document type"),
    "a bad character": (b"<message>\n<to>\x03</to></message>", r"line 2, column \d+: .*"),
    "cut off": (write(message(NEW))[:-9], r"line \d+, column \d+: "),
    "empty": (b"", "line 1, column 1: "),
    "too many rows": (
        write(message(NEW, rows(IDENTIFICATION, "new"))).replace(
            b"</resource>\n</data>", b"<row/>" * 100_001 + b"</resource></data>"
        ),
        r"line \d+, <row>: .*100,000",
    ),
}


def test_the_bodies_are_as_bad_as_they_are_meant() -> None:
    assert BODIES["neither a guid nor keys"][0].count(b"<resource ") == 2
    assert b'resourceRef="who"' in BODIES["a row for a label of nobody"][0]
    assert len(BODIES["too many rows"][0]) > 500_000


def test_each_is_dead_with_its_line_and_element_and_leaves_nothing(imports: Any) -> None:
    imports.post(computer("s", 8, "hash=8", kind=SOFTWARE))
    imports.drain()
    before = everything(imports)
    words = {imports.post(NEW, *parts): (name, told) for name, (parts, told) in BAD.items()}
    words |= {imports.post_body(body): (name, told) for name, (body, told) in BODIES.items()}
    imports.drain(event_retry_limit=1, normal_threads=1, slow_threads=1)
    dead = imports.queue.dead()
    assert {each.event.id for each in dead} == set(words)
    for each in dead:
        name, told = words[each.event.id]
        assert re.match(told, each.failure.message), (name, each.failure.message)
        known = "no such resource" not in told or name == "no type"
        assert each.failure.reason is (Reason.MALFORMED if known else Reason.RETRIES), name
    assert everything(imports) == before


def everything(imports: Any) -> dict[str, list[Any]]:
    tables = {
        "Item": ("Guid",),
        "ItemResource": ("Guid",),
        "ResourceKey": ("ResourceGuid", "KeyName", "KeyValue"),
        "ResourceMerge": ("OldGuid", "NewGuid"),
        "ResourceAssociation": ("ParentResourceGuid", "ChildResourceGuid"),
        "ResourceUpdateSummary": ("InventoryClassGuid", "ResourceGuid", "RowCount"),
        "Inv_Identification": ("_ResourceGuid",),
        "Inv_InstalledSoftware": ("_ResourceGuid",),
        "Evt_Software_Execution": ("_ResourceGuid",),
    }
    return {name: imports.table(name, *columns) for name, columns in tables.items()}


@pytest.mark.long
def test_a_hundred_thousand_rows_are_taken(imports: Any) -> None:
    run = DataClass(uuid.UUID("bf68ab7f-845c-5eb3-a38a-52ecaac42768"), "", "", multi_row=True, event=True)
    imports.post(NEW, rows(run, "new", *(("a", number) for number in range(100_000))))
    imports.drain(fast_threads=1, lease_seconds=60)
    assert imports.dead() == {}
    assert imports.execute('SELECT COUNT(*), COUNT(DISTINCT "ExitCode") FROM "Evt_Software_Execution"') == [
        (100_000, 100_000)
    ]
