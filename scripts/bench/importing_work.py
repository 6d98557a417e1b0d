"""What the benchmarks of imports import: a basic inventory, and the database that takes it.

One computer with 4 keys, 6 data classes of 40 rows together, two of them with foreign keys, and 3 associations, one of
a type that allows one only. ``turn`` changes the data of all classes; the same turn again is an unchanged inventory.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from mergeguard.core.importing.catalogue import AssociationType, CellType, DataClass, DataColumn
from mergeguard.core.nse import write
from mergeguard.core.nse.message import Association, ClassData, Key, Message, Resource, Row, Target

if TYPE_CHECKING:
    from mergeguard.processor.settings import Settings
    from mergeguard.storage.profile import Profile
    from mergeguard.storage.source import Source

COMPUTER: Final = uuid.UUID("493435f7-3b17-4c4c-b07f-c23e7ab7781f")
KEYS: Final = ("uniqueid", "name.domain", "fqdn", "macaddress")
ROWS: Final = (1, 7, 8, 8, 8, 8)
LINKS: Final = ("owner", "location", "software")


def guid(text: str) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_OID, f"bench {text}")


def _columns(number: int) -> tuple[DataColumn, ...]:
    texts = [DataColumn(name, CellType.TEXT, 250) for name in ("Maker", "Model", "Version")]
    numbers = [DataColumn(name, CellType.INTEGER) for name in ("Size", "Speed")]
    if number == 0:
        return (*texts, *numbers)
    part = DataColumn("Part", CellType.TEXT, 100, nullable=False, key=True)
    peer = [DataColumn("Peer", CellType.GUID, resource=True)] if number in (1, 2) else []
    return (part, *texts, *numbers, *peer)


CLASSES: Final = tuple(
    DataClass(
        guid(f"class {number}"),
        f"Bench {number}",
        f"Inv_Bench_{number}",
        multi_row=number > 0,
        event=False,
        columns=_columns(number),
    )
    for number in range(len(ROWS))
)
TYPES: Final = tuple(AssociationType(guid(name), name, 0, 1 if name == "owner" else None) for name in LINKS)


def computer(number: int) -> uuid.UUID:
    return guid(f"computer {number}")


def inventory(number: int, turn: int, *, peers: int = 50) -> Message:
    """Return the basic inventory of a computer."""
    me = Target(ref="1")
    data = []
    for data_class, rows in zip(CLASSES, ROWS, strict=True):
        cells = [_cells(data_class, at, number, turn, peers) for at in range(rows)]
        data.append(ClassData(data_class.guid, me, tuple(map(Row, cells))))
    keys = tuple(Key(name, f"{name}-of-{number:08}") for name in KEYS)
    links = tuple(
        Association(each.guid, me, Target(guid=guid(f"peer {(number + at) % peers}"))) for at, each in enumerate(TYPES)
    )
    return Message("basic", (Resource("1", computer(number), COMPUTER, f"pc-{number}", keys),), links, tuple(data))


def _cells(data_class: DataClass, row: int, number: int, turn: int, peers: int) -> tuple[str, ...]:
    values: dict[str, str] = {
        "Part": f"part {row}",
        "Maker": f"maker {row % 5} and sons",
        "Model": f"model {row} of {number}",
        "Version": f"{turn}.{row}.{number % 7}",
        "Size": str(1000 * row + turn),
        "Speed": str(number % 997),
        "Peer": str(guid(f"peer {(number + row) % peers}")),
    }
    return tuple(values[column.name] for column in data_class.columns)


def bodies(computers: Sequence[int], turn: int) -> list[tuple[uuid.UUID, bytes]]:
    """Return (source, body) of one inventory a computer; no two bodies are equal, whatever their inventories are."""
    return [(computer(number), _enveloped(write(inventory(number, turn)))) for number in computers]


def _enveloped(message: bytes) -> bytes:
    """Name an event anew and tell the time, as agents do on the envelope."""
    head = b"<guid>{%b}</guid>\n<time>%d</time>\n" % (str(uuid.uuid4()).encode(), time.time_ns())
    return message.replace(b"<body>", head + b"<body>", 1)


# --- The database; what is heavy is imported here, as the process that starts the runs imports this module, too ---
# ruff: noqa: PLC0415


def prepare(url: str, *, peers: int = 50, others: int = 20_000) -> None:
    """Make schema, classes, queue and lookup, and resources: those that the events name, and others beside them."""
    import sqlalchemy as sa

    from mergeguard import api
    from mergeguard.storage.importing.catalogue_file import CatalogueFile, ResourceType
    from mergeguard.storage.importing.making import add_to_catalogue
    from mergeguard.storage.importing.opening import open_import_store
    from mergeguard.storage.queue.opening import open_store

    store = open_import_store(url)
    store.create()
    add_to_catalogue(store, CatalogueFile((ResourceType(COMPUTER, "Computer", (), KEYS),), TYPES, CLASSES))
    store.close()
    queue = open_store(url)
    queue.create()
    queue.close()
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        _resources(connection, [guid(f"peer {number}") for number in range(peers)], merged=False)
        _resources(connection, [guid(f"other {number}") for number in range(others)], merged=True)
    engine.dispose()
    api.build_lookup(url)


def _resources(connection: Any, guids: Sequence[uuid.UUID], *, merged: bool) -> None:  # noqa: ANN401 - a sqlalchemy.Connection
    """Insert resources; with ``merged`` every other one was merged into the one before it."""
    import sqlalchemy as sa

    rows = [
        {"guid": str(one), "name": f"r {at}", "kind": str(COMPUTER), "value": f"v-{one}"}
        for at, one in enumerate(guids)
    ]
    live = rows[::2] if merged else rows
    pairs = (
        [{"old": str(old), "new": str(new)} for old, new in zip(guids[1::2], guids[::2], strict=False)]
        if merged
        else []
    )
    now = "CURRENT_TIMESTAMP"
    connection.execute(
        sa.text(
            'INSERT INTO "Item" ("Guid", "Name", "ResourceTypeGuid", "CreatedDate", "ModifiedDate") '
            f"VALUES (:guid, :name, :kind, {now}, {now})"
        ),
        rows,
    )
    connection.execute(sa.text('INSERT INTO "ItemResource" ("Guid", "IsManaged") VALUES (:guid, true)'), live)
    keys = """INSERT INTO "ResourceKey" ("ResourceGuid", "KeyName", "KeyValue") VALUES (:guid, 'uniqueid', :value)"""
    connection.execute(sa.text(keys), live)
    if pairs:
        merges = f'INSERT INTO "ResourceMerge" ("OldGuid", "NewGuid", "MergedAt") VALUES (:old, :new, {now})'
        connection.execute(sa.text(merges), pairs)


def opened(url: str) -> tuple[Source, Profile]:
    """Open the database with the profile of its catalogue."""
    from contextlib import closing

    from mergeguard.storage.importing.references import reference_profile
    from mergeguard.storage.profile_file import builtin_profile
    from mergeguard.storage.source import Options
    from mergeguard.storage.targets import open_target

    with closing(open_target(url, builtin_profile("reference"), Options())) as source:
        profile = reference_profile(source)
    return open_target(url, profile, Options(lock_timeout=30)), profile


def importer(url: str, settings: Settings, *, forgets: bool = False) -> Any:  # noqa: ANN401 - a handler
    """Return the importer of a database, as a server makes it, or one to which every message is new."""
    from mergeguard.processor.importers.importer import Importer
    from mergeguard.processor.importers.memory import Memory
    from mergeguard.processor.importers.merging import KeyMerging
    from mergeguard.resources.merge import prepare_merges
    from mergeguard.storage.importing.opening import import_store

    source, profile = opened(url)
    memory = Memory(0) if forgets else Memory()
    return Importer(import_store(source), lambda: settings, KeyMerging(prepare_merges(source, profile)), memory=memory)
