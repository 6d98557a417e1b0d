"""Reports on resources, as dictionaries say: shared keys, duplicates, merged resources, sources that moved."""

from __future__ import annotations

import sqlite3
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from merge_model import guid

from mergeguard.core.events import NewEvent, Queue
from mergeguard.errors import UsageError
from mergeguard.integrity.undo import undo_run
from mergeguard.integrity.unmerge import propose_unmerge, unmerge_guid
from mergeguard.resources.duplicates import Duplicate, find_duplicates, merge_duplicates
from mergeguard.resources.merge import merge
from mergeguard.resources.merged_resources import NO_MATCH, merged_resources
from mergeguard.resources.moved_sources import moved_sources
from mergeguard.resources.shared_keys import MOST_LISTED, shared_keys
from mergeguard.storage.profile import Blacklist, Keys, Live, Managed, Merge, Names, Profile, Types
from mergeguard.storage.queue.opening import open_store
from mergeguard.storage.source import Source
from mergeguard.storage.targets import open_target

KNOWN = [guid(number) for number in range(6)]
A, B, C, D = KNOWN[:4]
PROFILE = Profile(
    merge=Merge("Merges", row_id="Id", time="At", merge_key="MergeKey"),
    live=Live("Alive", "Guid"),
    types=Types("Item", "Guid", "Kind"),
    keys=Keys("ResourceKey", "Guid", "Name", "Text"),
    names=Names("Item", "Guid", "Called"),
    managed=Managed("Alive", "Guid", "Managed"),
    blacklist=Blacklist("Banned", "Guid", "At", "Now"),
)
SCHEMA = """
    CREATE TABLE "Merges" ("Id" INTEGER PRIMARY KEY, "OldGuid" TEXT, "NewGuid" TEXT, "At" TEXT, "MergeKey" TEXT);
    CREATE TABLE "Alive" ("Guid" TEXT PRIMARY KEY, "Managed" INTEGER);
    CREATE TABLE "Item" ("Guid" TEXT PRIMARY KEY, "Kind" TEXT, "Called" TEXT);
    CREATE TABLE "ResourceKey" ("Id" INTEGER PRIMARY KEY, "Guid" TEXT, "Name" TEXT, "Text" TEXT);
    CREATE TABLE "Banned" ("Guid" TEXT PRIMARY KEY, "At" TEXT NOT NULL, "Now" TEXT);
"""
OURS = ("run", "step", "change", "root", "never", "request")
KeyRow = tuple[uuid.UUID, str, str | None]


class File:
    """A file with resources, their keys and their merges."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(SCHEMA)
        self.source: Source = open_target(str(path), PROFILE)

    def fill(
        self,
        keys: Sequence[KeyRow] = (),
        *,
        managed: Sequence[uuid.UUID] = (),
        merged: Sequence[tuple[uuid.UUID, uuid.UUID, str | None]] = (),
        kinds: dict[uuid.UUID, str] | None = None,
    ) -> None:
        gone = {old for old, *_ in merged}
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            for name in OURS:
                connection.execute(f"DROP TABLE IF EXISTS mergeguard_{name}")
            for table in ("Merges", "Alive", "Item", "ResourceKey", "Banned"):
                connection.execute(f'DELETE FROM "{table}"')
            alive = [(str(each), int(each in managed)) for each in KNOWN if each not in gone]
            connection.executemany('INSERT INTO "Alive" VALUES (?, ?)', alive)
            items = [(str(each), (kinds or {}).get(each, "PC"), f"PC {at}") for at, each in enumerate(KNOWN)]
            connection.executemany('INSERT INTO "Item" VALUES (?, ?, ?)', items)
            rows = [(str(each), name, text) for each, name, text in keys]
            connection.executemany('INSERT INTO "ResourceKey" ("Guid", "Name", "Text") VALUES (?, ?, ?)', rows)
            made = [
                (at, str(old), str(new), f"2026-01-0{at} 00:00:00", key) for at, (old, new, key) in enumerate(merged, 1)
            ]
            connection.executemany('INSERT INTO "Merges" VALUES (?, ?, ?, ?, ?)', made)
            connection.commit()

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(sql).fetchall()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[File]:
    made = File(tmp_path_factory.mktemp("reports") / "reports.db")
    yield made
    made.source.close()


NAMES = st.sampled_from(["serialnumber", "SerialNumber", "barcode", "fqdn"])
TEXTS = st.sampled_from(["x1", "X1 ", "y2", "", " ", None])
KEYS = st.lists(st.tuples(st.sampled_from(KNOWN), NAMES, TEXTS), max_size=12)
MERGED = st.sampled_from([[], [(A, B, None)], [(A, B, None), (B, C, "k")], [(A, B, None), (B, A, None)]])


def owners(keys: Sequence[KeyRow], merged: Sequence[tuple[uuid.UUID, uuid.UUID, str | None]]) -> dict[object, set]:
    """Who has each key now, by dictionaries."""
    steps = {old: new for old, new, _ in merged}
    found: dict[object, set[uuid.UUID]] = defaultdict(set)
    for each, name, text in keys:
        seen = {each}
        while each in steps and steps[each] not in seen:
            each = steps[each]  # noqa: PLW2901 - a walk
            seen.add(each)
        if each not in steps and text is not None and text.strip():
            found[name.lower(), text.strip().lower()].add(each)
    return {key: guids for key, guids in found.items() if len(guids) > 1}


@given(keys=KEYS, merged=MERGED, named=st.booleans())
def test_shared_keys_are_those_of_several_live_resources(
    file: File, keys: list[KeyRow], merged: list[tuple[uuid.UUID, uuid.UUID, str | None]], named: bool
) -> None:
    file.fill(keys, merged=merged)
    found = shared_keys(file.source, PROFILE, names=["SERIALNUMBER"] if named else ())
    wanted = owners(keys, merged)
    if named:
        wanted = {key: guids for key, guids in wanted.items() if key[0] == "serialnumber"}  # type: ignore[index]
    assert {(each.name.lower(), each.value.lower()): set(each.guids) for each in found.keys} == wanted
    assert found.values == len(wanted)
    counts = [each.resources for each in found.keys]
    assert counts == sorted(counts, reverse=True)
    for each in found.keys:
        assert each.names == tuple(f"PC {KNOWN.index(guid)}" for guid in each.guids)


def test_a_key_of_many_is_counted_and_some_are_named(file: File) -> None:
    file.fill([(uuid.uuid5(A, str(number)), "fqdn", "localhost") for number in range(30)])
    with closing(sqlite3.connect(file.path)) as connection:
        connection.execute('INSERT INTO "Alive" SELECT "Guid", 0 FROM "ResourceKey"')
        connection.commit()
    (found,) = shared_keys(file.source, PROFILE).keys
    assert (found.resources, len(found.guids)) == (30, MOST_LISTED)
    assert shared_keys(file.source, PROFILE, limit=0).values == 1


@given(keys=KEYS, managed=st.sets(st.sampled_from(KNOWN)), others=st.sets(st.sampled_from(KNOWN), max_size=2))
def test_duplicates_are_one_managed_and_some_that_are_not(
    file: File, keys: list[KeyRow], managed: set[uuid.UUID], others: set[uuid.UUID]
) -> None:
    file.fill(keys, managed=sorted(managed), kinds=dict.fromkeys(others, "Printer"))
    found = find_duplicates(file.source, PROFILE)
    wanted: dict[uuid.UUID, set[uuid.UUID]] = defaultdict(set)
    for (name, _), guids in owners(keys, []).items():  # type: ignore[misc]
        agents = guids & managed
        if name != "fqdn" and len(agents) == 1 and len({each in others for each in guids}) == 1:
            for each in guids - agents:
                wanted[each] |= agents
    clear = {(old, *news) for old, news in wanted.items() if len(news) == 1}
    assert {(pair.old, pair.new) for pair in found.pairs} == clear
    assert len(found.pairs) == len(clear)
    torn = [each for each in found.left if "several managed" in each.why]
    assert {each.guids[0] for each in torn} == {old for old, news in wanted.items() if len(news) > 1}


def test_a_printer_is_no_computer_though_both_have_one_number(file: File) -> None:
    file.fill([(A, "barcode", "7"), (B, "barcode", "7")], managed=[B], kinds={A: "Printer"})
    found = find_duplicates(file.source, PROFILE)
    assert found.pairs == ()
    assert [(one.guids, one.why) for one in found.left] == [
        (tuple(sorted((A, B), key=str)), "they are of different types")
    ]


def test_what_nobody_filled_in_makes_no_duplicate(file: File) -> None:
    keys = [(A, "Serial Number", "To Be Filled By O.E.M."), (B, "serial-number", "to be filled by OEM")]
    file.fill([*keys, *((each, "serialnumber", "N/A") for each in (A, B))], managed=[B])
    assert find_duplicates(file.source, PROFILE, junk=["To be filled by O.E.M.", "n/a"]).pairs == ()
    (pair,) = find_duplicates(file.source, PROFILE, junk=["To be filled by O.E.M."]).pairs
    assert (pair.old, pair.new, pair.old_name, pair.new_name) == (A, B, "PC 0", "PC 1")


def test_duplicates_are_merged_with_the_rule_as_their_key(file: File) -> None:
    file.fill([(A, "barcode", "7"), (B, "Barcode", "7"), (C, "barcode", "8"), (D, "barcode", "8")], managed=[B, D])
    found = find_duplicates(file.source, PROFILE)
    made = merge_duplicates(file.source, PROFILE, [*found.pairs, Duplicate(KNOWN[4], KNOWN[4], "barcode", "9")])
    assert [each.refused and each.refused.reason for each in made] == [None, None, "self-merge"]
    assert file.rows('SELECT "OldGuid", "NewGuid", "MergeKey" FROM "Merges" ORDER BY "Id"') == [
        (str(A), str(B), "duplicates: Barcode=7"),
        (str(C), str(D), "duplicates: barcode=8"),
    ]
    assert find_duplicates(file.source, PROFILE).pairs == ()
    assert merge_duplicates(file.source, PROFILE, []) == []


def test_an_agent_that_is_merged_away_goes_on_the_black_list_and_comes_back(file: File) -> None:
    file.fill(managed=[A])
    done = merge(file.source, PROFILE, A, B)
    assert file.rows('SELECT "Guid", "Now" FROM "Banned" WHERE "At" IS NOT NULL') == [(str(A), str(B))]
    assert merge(file.source, PROFILE, C, B).run_id  # no agent
    assert len(file.rows('SELECT * FROM "Banned"')) == 1
    assert done.run_id is not None
    undo_run(file.source, PROFILE, done.run_id)
    assert file.rows('SELECT * FROM "Banned"') == []


def test_an_agent_that_is_unmerged_comes_off_the_black_list(file: File) -> None:
    file.fill(managed=[A, B])
    merge(file.source, PROFILE, A, B)
    merge(file.source, PROFILE, B, C)
    unmerge_guid(file.source, PROFILE, propose_unmerge(file.source, PROFILE, str(A)))
    assert file.rows('SELECT "Guid" FROM "Banned"') == [(str(B),)]


def test_an_agent_that_is_on_the_black_list_stays_there_once(file: File) -> None:
    file.fill(managed=[A])
    with closing(sqlite3.connect(file.path)) as connection:
        connection.execute('INSERT INTO "Banned" VALUES (?, ?, NULL)', (str(A).upper(), "then"))
        connection.commit()
    merge(file.source, PROFILE, A, B)
    assert file.rows('SELECT * FROM "Banned"') == [(str(A).upper(), "then", None)]


def test_merged_resources_are_told_newest_first_with_key_rule_or_person(file: File) -> None:
    file.fill(managed=[B], merged=[(A, B, "uniqueid=1"), (C, D, None)])
    done = merge(file.source, PROFILE, B, KNOWN[4], request_id="ticket 7")
    found = merged_resources(file.source, PROFILE)
    assert found.rows == 3
    assert [(each.old, each.current, each.key) for each in found.merges] == [
        (B, KNOWN[4], NO_MATCH),
        (C, D, NO_MATCH),
        (A, KNOWN[4], "uniqueid=1"),
    ]
    by_hand, _, by_key = found.merges
    assert by_hand.who.endswith("(request ticket 7)")
    assert (by_key.who, by_key.old_name, by_key.current_name) == ("", "PC 0", "PC 4")
    assert [each.old for each in merged_resources(file.source, PROFILE, limit=1).merges] == [B]
    assert done.run_id is not None
    undo_run(file.source, PROFILE, done.run_id)
    assert merged_resources(file.source, PROFILE).rows == 2


def test_merges_in_a_circle_and_to_nothing_are_told_too(file: File) -> None:
    file.fill(merged=[(A, B, None), (B, A, None)])
    found = merged_resources(file.source, PROFILE).merges
    assert {(each.old, each.current, each.status) for each in found} == {(A, None, "cycle"), (B, None, "cycle")}


def test_what_was_deleted_has_no_new_and_no_current(file: File) -> None:
    gone = guid(50)
    profile = replace(PROFILE, merge=replace(PROFILE.merge, deleted_values=(str(gone),)))
    file.fill(merged=[(A, B, None), (C, gone, None)])
    with closing(open_target(str(file.path), profile)) as source:
        found = merged_resources(source, profile).merges
    told = [(each.old, each.new, each.current, each.status, each.current_name) for each in found]
    assert told == [(C, None, None, "deleted", ""), (A, B, B, "ok", "PC 1")]


def test_sources_that_moved_are_told_with_their_events(file: File, tmp_path: Path) -> None:
    file.fill(merged=[(A, B, None), (B, C, None)])
    with closing(open_store(str(tmp_path / "queue.db"))) as store:
        (tmp_path / "queue.db").touch()
        store.create()
        assert moved_sources(store, file.source, PROFILE) == []
        sent = [(A, 0), (A, 0), (A, 1), (C, 0), (uuid.UUID(int=0), 0), (B, 0)]
        store.register([NewEvent(source, priority, Queue.FAST, 1, b"x") for source, priority in sent])
        found = moved_sources(store, file.source, PROFILE)
    assert {(each.source, each.current, each.events) for each in found} == {(A, C, 3), (B, C, 1)}
    assert all(each.oldest is not None for each in found)


def test_a_profile_that_knows_no_keys_or_agents_is_told_so(file: File) -> None:
    bare = Profile(merge=PROFILE.merge)
    with pytest.raises(UsageError, match="where keys stand"):
        shared_keys(file.source, bare)
    with pytest.raises(UsageError, match="are managed"):
        find_duplicates(file.source, Profile(merge=PROFILE.merge, keys=PROFILE.keys))


def test_a_merge_with_a_key_needs_a_column_for_it_and_writes_nothing_without(file: File) -> None:
    file.fill()
    bare = replace(PROFILE, merge=replace(PROFILE.merge, merge_key=None))
    with pytest.raises(UsageError, match="no column for the key") as refused:
        merge(file.source, bare, A, B, key="by hand")
    assert "merge_key" in str(refused.value.hint)
    assert file.rows('SELECT * FROM "Merges"') == []
