"""The demonstration: real merges, made-up surroundings, the same each time."""

from __future__ import annotations

import csv
import sqlite3
from collections import Counter
from contextlib import closing
from importlib import resources
from pathlib import Path

import networkx as nx
import pytest

from mergeguard.core.guids import text_id
from mergeguard.errors import MergeGuardError, UsageError, WriteFailed
from mergeguard.integrity.demo import DATABASE, make_demo
from mergeguard.storage import schema
from mergeguard.storage.profile_file import builtin_profile

Row = tuple[object, ...]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    return make_demo(folder / "made if need be").database


def rows(database: Path, query: str) -> list[Row]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()


def shipped(name: str) -> list[dict[str, str]]:
    text = (resources.files("mergeguard") / "data" / "tz" / name).read_text("utf-8")
    return list(csv.DictReader(text.splitlines(), delimiter="\t"))


def names(database: Path) -> dict[object, str]:
    return {guid: str(name) for guid, name in rows(database, 'SELECT "Guid", "Name" FROM "Item"')}


def merges(database: Path) -> list[tuple[str, str]]:
    called = names(database)
    pairs = rows(database, 'SELECT "OldGuid", "NewGuid" FROM "ResourceMerge" ORDER BY "Id"')
    return [(called[old], called[new]) for old, new in pairs]


def live(database: Path) -> set[str]:
    called = names(database)
    return {called[guid] for (guid,) in rows(database, 'SELECT "Guid" FROM "ItemResource"')}


def test_every_merge_is_a_real_link_in_the_order_of_its_date(demo: Path) -> None:
    links = shipped("tz_link_accumulated.tsv")
    assert len(links) == 445
    assert merges(demo) == [(link["old_name"], link["current_name"]) for link in links]
    stamps = [str(stamp) for (stamp,) in rows(demo, 'SELECT "MergedAt" FROM "ResourceMerge" ORDER BY "Id"')]
    assert stamps == [f"{link['first_date']} 00:00:00" for link in links]


def test_three_cycles_stand_in_it_with_one_live_name_each(demo: Path) -> None:
    graph: nx.DiGraph[str] = nx.DiGraph(merges(demo))
    cycles = [component for component in nx.strongly_connected_components(graph) if len(component) > 1]
    assert sorted(map(sorted, cycles)) == [
        ["America/Denver", "America/Shiprock"],
        ["America/Indiana/Indianapolis", "America/Indianapolis"],
        ["America/Kentucky/Louisville", "America/Louisville"],
    ]
    assert [len(cycle & live(demo)) for cycle in cycles] == [1, 1, 1]


def test_a_zone_is_live_unless_it_is_a_link_today(demo: Path) -> None:
    links_today = {hop["old_name"] for hop in shipped("tz_link_current_hops.tsv")}
    zones = {name for pair in merges(demo) for name in pair}
    assert {name for name in live(demo) if not name.startswith("PC-")} == zones - links_today


def test_the_example_is_on_a_cycle_and_not_live(tmp_path: Path) -> None:
    made = make_demo(tmp_path)
    assert made.example == text_id(made.example_name)
    graph: nx.DiGraph[str] = nx.DiGraph(merges(made.database))
    assert made.example_name in nx.descendants(graph, next(iter(graph[made.example_name])))
    assert made.example_name not in live(made.database)
    assert (made.merges, made.live, made.profile) == (445, len(live(made.database)), "reference")


def test_every_guid_of_the_demonstration_has_a_name_and_a_type(demo: Path) -> None:
    profile = builtin_profile("reference")
    called = names(demo)
    for reference in profile.references:
        found = rows(demo, f'SELECT "{reference.column}" FROM "{reference.table}"')
        assert found, reference
        assert {guid for (guid,) in found} <= called.keys()
    assert rows(demo, 'SELECT count(*) FROM "Item" WHERE "ResourceTypeGuid" IS NULL') == [(0,)]
    assert rows(demo, "PRAGMA foreign_key_check") == []


def test_the_stale_references_are_the_ones_the_documentation_counts(demo: Path) -> None:
    profile, called, alive = builtin_profile("reference"), names(demo), live(demo)
    olds = {old for old, _ in merges(demo)}
    stale = {
        str(reference): sorted(
            called[guid]
            for (guid,) in rows(demo, f'SELECT "{reference.column}" FROM "{reference.table}"')
            if called[guid] in olds - alive
        )
        for reference in profile.references
    }
    computers = ["America/Shiprock", "Asia/Calcutta", "Europe/Kiev", "US/Pacific"]
    assert {column: found for column, found in stale.items() if found} == {
        "ResourceKey.ResourceGuid": ["Asia/Calcutta"],
        "ResourceAssociation.ChildResourceGuid": computers,
        "Inv_InstalledSoftware._SoftwareComponentGuid": computers,
        "Evt_Software_Execution._ResourceGuid": ["Asia/Calcutta"],
    }
    page = (Path(__file__).parents[2] / "docs" / "reference" / "reference-schema.md").read_text("utf-8")
    for column, found in stale.items():
        if found:
            assert f"| `{column}` | {len(found)} |" in page, column


def test_only_the_four_regional_clocks_changed_their_type(demo: Path) -> None:
    types = dict(rows(demo, 'SELECT "Name", "ResourceTypeGuid" FROM "Item"'))
    changed = Counter(old for old, new in merges(demo) if types[old] != types[new])
    assert changed == {"CET": 1, "EET": 1, "MET": 1, "WET": 1}


def test_the_same_content_each_time(demo: Path, tmp_path: Path) -> None:
    def content(database: Path) -> list[str]:
        with closing(sqlite3.connect(database)) as connection:
            return [line for line in connection.iterdump() if schema.VERSION_TABLE not in line]

    assert content(make_demo(tmp_path).database) == content(demo)


def test_a_file_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / DATABASE).write_bytes(b"mine")
    with pytest.raises(UsageError, match="exists already") as caught:
        make_demo(tmp_path)
    assert caught.value.hint is not None
    assert (tmp_path / DATABASE).read_bytes() == b"mine"


def test_a_folder_that_is_a_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MergeGuardError) as caught:
        make_demo(tmp_path / "file" / "demo")
    assert "file" in caught.value.message


def test_a_demo_that_fails_halfway_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*_: object) -> None:
        raise WriteFailed("the disk is full")

    monkeypatch.setattr(schema, "fill", full_disk)
    with pytest.raises(WriteFailed):
        make_demo(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_path_of_any_characters_will_do(tmp_path: Path) -> None:
    made = make_demo(tmp_path / "a b#c?d%20e")
    assert made.database.exists()
    assert len(live(made.database)) == made.live
