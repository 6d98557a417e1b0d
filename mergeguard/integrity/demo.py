"""Builds a small database to try everything on: the reference schema with 445 real merges, three real cycles in them.

The merges are the links of the tz database (see ``mergeguard/data/tz/README.md``). What stands around them, eight
computers and what they hold, is made up so that each kind of reference exists; some of it still points at names that
were merged away. The content is the same each time: no clock, no chance.
"""

from __future__ import annotations

import csv
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, TypeAlias

from mergeguard.core.guids import text_id
from mergeguard.errors import UsageError
from mergeguard.storage import failures, schema

DATABASE = "tz.db"
ON_A_CYCLE = "America/Shiprock"

Tables: TypeAlias = dict[str, list[dict[str, object]]]

_DAY = "2024-07-03 00:00:00"
"""The day of the last link: stands where the tz history knows no date."""
# Made up, but what they stand for is real: computers that were set up under a name that is a link by now.
_COMPUTERS = {
    "PC-BERLIN": "Europe/Berlin",
    "PC-TOKYO": "Asia/Tokyo",
    "PC-NAIROBI": "Africa/Nairobi",
    "PC-DENVER": "America/Denver",
    "PC-KOLKATA": "Asia/Calcutta",
    "PC-KYIV": "Europe/Kiev",
    "PC-SEATTLE": "US/Pacific",
    "PC-NAVAJO": ON_A_CYCLE,
}
# Clocks of whole regions; in 2024 they became links to one city each.
_REGIONAL = ("CET", "EET", "MET", "WET")
_ZONE, _REGION, _COMPUTER = "Time zone", "Regional clock", "Computer"


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What ``make_demo`` made."""

    database: Path
    profile: str
    """The built-in profile that fits it."""
    merges: int
    live: int
    example: uuid.UUID
    """A guid on a cycle, to explain."""
    example_name: str


def make_demo(folder: str | Path) -> DemoResult:
    """Create ``tz.db`` in a folder, which is made if need be; the file appears whole or not at all.

    Raises:
        UsageError: the file exists; nothing is ever overwritten.
        PermissionDenied: the folder cannot be written.
        WriteFailed: the disk is full.
    """
    database = Path(folder).absolute() / DATABASE
    with failures.translated(str(database), writing=True):
        database.parent.mkdir(parents=True, exist_ok=True)
        if database.exists():
            raise UsageError(f"{database} exists already", hint="delete it, or name another folder with --dir")
        tables = demo_rows()
        with tempfile.TemporaryDirectory(prefix=".mergeguard-demo-", dir=database.parent) as workshop:
            made = Path(workshop) / DATABASE
            url = schema.sqlite_url(made)
            schema.migrate(url)
            schema.fill(url, tables)
            made.replace(database)
    merges, live = len(tables["ResourceMerge"]), len(tables["ItemResource"])
    return DemoResult(database, "reference", merges, live, text_id(ON_A_CYCLE), ON_A_CYCLE)


def demo_rows() -> Tables:
    """Return all rows of the demonstration by table."""
    links, hops = _read("tz_link_accumulated.tsv"), _read("tz_link_current_hops.tsv")
    names = sorted({link[column] for link in links for column in ("old_name", "current_name")})
    live = sorted(set(names) - {hop["old_name"] for hop in hops})
    tables: Tables = {
        "ResourceType": [{"Guid": _type(name), "Name": name} for name in (_ZONE, _REGION, _COMPUTER)],
        "Item": [_item(name, _REGION if name in _REGIONAL else _ZONE) for name in names],
        "ItemResource": [{"Guid": _guid(name), "IsManaged": False} for name in live],
        "ResourceMerge": [_merge(number, link) for number, link in enumerate(links, 1)],
        "ResourceTypeMergeKey": [
            {"ResourceTypeGuid": _type(_ZONE), "KeyName": "name"},
            {"ResourceTypeGuid": _type(_COMPUTER), "KeyName": "name.domain"},
        ],
        # The last one was left behind when its guid was merged away.
        "ResourceKey": [_key(name, "name", name) for name in (*live, "Asia/Calcutta")],
    }
    _add(tables, _leftovers())
    for name, zone in _COMPUTERS.items():
        _add(tables, _computer(name, zone))
    return tables


def _read(name: str) -> Sequence[Mapping[str, str]]:
    text = (resources.files("mergeguard") / "data" / "tz" / name).read_text("utf-8")
    return list(csv.DictReader(text.splitlines(), delimiter="\t"))


def _guid(name: str) -> str:
    return str(text_id(name))


def _type(name: str) -> str:
    return _guid(f"demo type {name}")


def _item(name: str, kind: str) -> dict[str, object]:
    return {
        "Guid": _guid(name),
        "Name": name,
        "ResourceTypeGuid": _type(kind),
        "CreatedDate": _DAY,
        "ModifiedDate": _DAY,
    }


def _merge(number: int, link: Mapping[str, str]) -> dict[str, object]:
    return {
        "Id": number,
        "OldGuid": _guid(link["old_name"]),
        "NewGuid": _guid(link["current_name"]),
        "MergedAt": f"{link['first_date']} 00:00:00",
        "MergeKey": "name",
    }


def _key(name: str, key: str, value: str) -> dict[str, object]:
    return {"ResourceGuid": _guid(name), "KeyName": key, "KeyValue": value}


def _computer(name: str, zone: str) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield the rows of one computer: a resource, its key, its zone, and a row of each data class."""
    me: dict[str, object] = {"_ResourceGuid": _guid(name)}
    domain = "example.test"
    yield "Item", _item(name, _COMPUTER)
    yield "ItemResource", {"Guid": _guid(name), "IsManaged": True}
    yield "ResourceKey", _key(name, "name.domain", f"{name}.{domain}".lower())
    yield "ResourceAssociation", _association(name, zone)
    yield "Inv_Identification", me | {"Name": name, "Domain": domain, "OSName": "Linux"}
    # The zone file that the computer's clock reads, as an installed component.
    yield "Inv_InstalledSoftware", me | {"_SoftwareComponentGuid": _guid(zone), "InstallFlag": 1}
    yield "Evt_Software_Execution", _execution(name)
    for data_class in ("Identification", "Installed software", "Software execution"):
        yield "ResourceUpdateSummary", _summary(name, data_class)


def _leftovers() -> Iterator[tuple[str, dict[str, object]]]:
    """Yield what belongs to no computer: the type of their associations, and an event posted under a merged guid."""
    yield (
        "ResourceAssociationType",
        {"Guid": _guid(_LOCATED), "Name": "located in", "MinimumCardinality": 0, "MaximumCardinality": 1},
    )
    yield "Evt_Software_Execution", _execution("Asia/Calcutta")


_LOCATED = "demo association located in"


def _association(parent: str, child: str) -> dict[str, object]:
    return {
        "ResourceAssociationTypeGuid": _guid(_LOCATED),
        "ParentResourceGuid": _guid(parent),
        "ChildResourceGuid": _guid(child),
        "CreatedDate": _DAY,
    }


def _execution(name: str) -> dict[str, object]:
    return {"_ResourceGuid": _guid(name), "_eventTime": _DAY, "Program": "zdump", "ExitCode": 0}


def _summary(name: str, data_class: str) -> dict[str, object]:
    return {
        "InventoryClassGuid": _guid(f"data class {data_class}"),
        "ResourceGuid": _guid(name),
        "CreatedDate": _DAY,
        "ModifiedDate": _DAY,
        "RowCount": 1,
    }


def _add(tables: Tables, rows: Iterator[tuple[str, dict[str, Any]]]) -> None:
    for table, row in rows:
        tables.setdefault(table, []).append(row)
