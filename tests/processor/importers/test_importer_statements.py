"""How often a database is asked: what has not changed is neither loaded nor saved."""

from __future__ import annotations

from importing_model import merge
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
    link,
    rows,
)

WRITES = {
    "create", "activate", "add_keys", "replace_rows", "update_rows", "append_rows", "summarise", "unlink", "merge",
    "hold_keys",
}  # fmt: skip
SOFTWARE_PARTS = [computer(f"s{each}", 100 + each, f"hash={each}", kind=SOFTWARE) for each in range(300)]
INVENTORY = (
    computer("pc", 1, "fqdn=pc1", "macaddress=a1", "uniqueid=u1", "serial=4711"),
    *SOFTWARE_PARTS,
    rows(IDENTIFICATION, "pc", ("PC1", 80)),
    rows(INSTALLED, "pc", *((guid(100 + each), "1.0") for each in range(300))),
    rows(NOTES, "pc", ("a",), ("b",)),
)


def test_unchanged_keys_and_data_cause_no_load_and_no_save() -> None:
    world = World()
    world.send(*INVENTORY)
    assert WRITES.intersection(world.calls)
    world.send(*INVENTORY)
    assert world.calls == ["owners", "standings", "hold", "standings", "summaries", "confirm"]


def test_one_changed_class_is_the_only_one_that_is_written() -> None:
    world = World()
    world.send(*INVENTORY)
    assert world.calls
    world.send(*INVENTORY[:-1], rows(NOTES, "pc", ("c",)))
    written = [(name, what) for name, what in world.tables.calls if name in WRITES]
    assert written == [("replace_rows", (NOTES.guid, guid(1))), ("summarise", (NOTES.guid, guid(1)))]


def test_what_is_held_is_all_that_is_written_to_and_at_once() -> None:
    world = World()
    world.send(computer("pc", 1, "fqdn=a"), computer("old", 2, "fqdn=b"), computer("user", 3, "fqdn=c"))
    merge(world.tables, guid(2), guid(3))
    assert world.calls
    world.send(
        computer("pc", None, "fqdn=a"),
        rows(RUN, "pc", ("a",)),
        rows(IDENTIFICATION, "pc", ("a", 1, guid(2))),
        link(OWNED, "pc", 2),
        source=guid(1),
    )
    assert [what for name, what in world.tables.calls if name == "hold"] == [frozenset({guid(1), guid(3)})]


def test_only_limited_associations_are_read() -> None:
    world = World()
    world.send(computer("pc", 1, "fqdn=a"), computer("user", 3, "fqdn=c"))
    assert world.calls
    world.send(link(USES, 1, 3))
    assert "linked" not in world.calls
    world.send(link(OWNED, 1, 3), link(USES, 1, 3))
    assert [what for name, what in world.tables.calls if name == "linked"] == [frozenset({(OWNED.guid, guid(1))})]
