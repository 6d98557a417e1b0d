"""References moved by procedure on a real SQL Server: the tables are those that Python leaves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
from merge_model import guid
from mssql_scripts_world import GUID, World, grant, installed
from rule_model import Case

from mergeguard.integrity.undo import undo_run
from mergeguard.resources.merge import merge, preview_merge
from mergeguard.storage.journal.writing import Journal
from mergeguard.storage.profile import Association, AssociationTypes, Classes, Hashes, Keys, Reference

pytestmark = pytest.mark.mssql
GUIDS = [guid(number) for number in range(5)]
OLD, NEW = GUIDS[:2]
TYPES = [guid(number) for number in (50, 51)]
CLASS, WHOLE = guid(60), guid(61)
TABLES = {
    "links": f"[id] int IDENTITY PRIMARY KEY, [kind] {GUID}, [parent] {GUID}, [child] {GUID}, [at] datetime2(3) NULL, "
    "[event] int NULL",
    "kinds_of_links": f"[guid] {GUID} PRIMARY KEY, [most] int NULL",
    "data": f"[id] int IDENTITY PRIMARY KEY, [guid] {GUID}, [said] nvarchar(50) NULL",
    "sets": f"[id] int IDENTITY PRIMARY KEY, [guid] {GUID}, [part] uniqueidentifier NULL, [flag] int NULL",
    "whole": f"[id] int IDENTITY PRIMARY KEY, [guid] {GUID}, [friend] uniqueidentifier NULL, [said] nvarchar(20) NULL",
    "keys": f"[guid] {GUID}, [name] nvarchar(20) NOT NULL, [value] nvarchar(20) NULL",
    "events": f"[id] bigint IDENTITY PRIMARY KEY, [guid] {GUID}, [at] datetime NOT NULL",
    "hashes": f"[class] {GUID}, [guid] {GUID}, [hash] char(8) NULL, [at] datetime NOT NULL, "
    "[event] bigint NULL, PRIMARY KEY ([class], [guid])",
    "classes": f"[guid] {GUID} PRIMARY KEY, [name] nvarchar(50) NOT NULL",
}


@pytest.fixture
def world(place: Any) -> Iterator[World]:
    for name, columns in TABLES.items():
        place.run(f"IF OBJECT_ID(N'{place.schema}.{name}') IS NOT NULL DROP TABLE {place.name(name)}")
        place.run(f"CREATE TABLE {place.name(name)} ({columns})")
    with installed(place) as made:
        at = place.schema
        made.profile = replace(
            made.profile,
            associations=(Association(f"{at}.links", "parent", "child", "kind", "at", "event"),),
            association_types=AssociationTypes(f"{at}.kinds_of_links", "guid", "most"),
            keys=Keys(f"{at}.keys", "guid", "name", "value"),
            hashes=Hashes(
                f"{at}.hashes", "guid", "class", "hash", Classes(f"{at}.classes", "guid", "name"), "at", "event"
            ),
            references=(
                Reference(f"{at}.hashes", "guid", time="at", order="event"),
                Reference(f"{at}.whole", "guid", sets="newest"),
                Reference(f"{at}.whole", "friend"),
                Reference(f"{at}.data", "guid", ("guid",)),
                Reference(f"{at}.sets", "guid", ("guid", "part", "flag")),
                Reference(f"{at}.sets", "part", ("guid", "part", "flag")),
                Reference(f"{at}.events", "guid"),
            ),
        )
        made.install()
        yield made


def fill(world: World, chance: Random) -> None:
    place = world.place
    world.fill(Case((), (), live=frozenset(GUIDS)))
    with place.engine.begin() as connection:

        def put(table: str, columns: str, *values: object) -> None:
            marks = ", ".join("?" for _ in values)
            said = tuple(value if value is None else str(value) for value in values)
            connection.exec_driver_sql(f"INSERT INTO {place.name(table)} ({columns}) VALUES ({marks})", said)

        def event() -> int | None:
            return chance.choice([None, 1, 2, 3])

        def at() -> str:
            return f"2024-01-0{chance.randint(1, 4)}T00:00:00"

        for table in TABLES:
            connection.exec_driver_sql(f"DELETE FROM {place.name(table)}")
        put("kinds_of_links", "[guid], [most]", TYPES[0], 2)
        connection.exec_driver_sql(f"INSERT INTO {place.name('kinds_of_links')} VALUES (?, NULL)", (str(TYPES[1]),))
        put("classes", "[guid], [name]", CLASS, f"{place.schema}.data")
        put("classes", "[guid], [name]", WHOLE, "whole")
        for _ in range(chance.randint(3, 12)):
            ends = chance.choices(GUIDS, k=2)
            put("links", "[kind], [parent], [child], [at], [event]", chance.choice(TYPES), *ends, at(), event())
            put("whole", "[guid], [friend], [said]", *chance.choices(GUIDS[:3], k=2), chance.choice("xyz"))
            put("sets", "[guid], [part], [flag]", *chance.choices(GUIDS[:3], k=2), chance.randint(0, 1))
            put("keys", "[guid], [name], [value]", chance.choice(GUIDS[:2]), "name", chance.choice("ab"))
            put("events", "[guid], [at]", chance.choice(GUIDS), at())
        for each in GUIDS[:3]:
            if chance.random() < 0.7:
                put("data", "[guid], [said]", each, f"of {each}")
            if chance.random() < 0.8:
                put("hashes", "[class], [guid], [hash], [at], [event]", CLASS, each, "deadbeef", at(), event())
            if chance.random() < 0.8:
                put("hashes", "[class], [guid], [hash], [at], [event]", WHOLE, each, None, at(), event())


def picture(world: World) -> dict[str, list[dict[str, Any]]]:
    found = {}
    for table in TABLES:
        rows = world.rows(f"SELECT * FROM {world.place.name(table)}")
        found[table] = sorted(rows, key=str)
    return found


@pytest.mark.parametrize("seed", range(8))
def test_the_tables_are_those_that_python_leaves(world: World, seed: int) -> None:
    fill(world, Random(seed))
    start = picture(world)
    with closing(world.source()) as source:
        seen = preview_merge(source, world.profile, OLD, NEW)
        assert seen.refused is None
        answer = world.merge(OLD, NEW, request="once")
        by_sql = picture(world)
        (step,) = Journal(source, world.profile).steps(answer["run_id"])
        again = merge(source, world.profile, OLD, NEW, request_id="once")
        assert again.repeated
        assert again.columns == seen.columns
        assert again.hashes_cleared == seen.hashes_cleared == answer["hashes_cleared"]
        undo_run(source, world.profile, answer["run_id"])
        assert picture(world) == start
        made = merge(source, world.profile, OLD, NEW)
        assert picture(world) == by_sql
        (wanted,) = Journal(source, world.profile).steps(made.run_id or "")

    def told(changes: Any) -> list[tuple[str, str, str]]:
        kept = [change for change in changes if change.action.value != "merge"]
        return sorted((change.action.value, str(change.before), str(change.after)) for change in kept)

    assert told(step.changes) == told(wanted.changes)


@pytest.mark.parametrize("seed", range(4))
def test_the_procedure_takes_back_what_either_moved(world: World, seed: int) -> None:
    fill(world, Random(seed))
    start = picture(world)
    run = world.merge(OLD, NEW)["run_id"]
    world.rows("EXEC [mergeguard].[unmerge_run] @run_id = ?", (run,))
    assert picture(world) == start
    with closing(world.source()) as source:
        made = merge(source, world.profile, OLD, NEW)
    world.rows("EXEC [mergeguard].[unmerge_run] @run_id = ?", (made.run_id,))
    assert picture(world) == start


def test_what_changed_since_is_not_taken_back(world: World) -> None:
    fill(world, Random(3))
    world.rows(f"INSERT INTO {world.place.name('data')} ([guid], [said]) VALUES (?, 'x')", (str(GUIDS[4]),))
    run = world.merge(GUIDS[4], GUIDS[3])["run_id"]
    world.rows(f"UPDATE {world.place.name('data')} SET [said] = 'y' WHERE [said] = 'x'")
    after = picture(world)
    with pytest.raises(sa.exc.DBAPIError, match="mergeguard: stale: "):
        world.rows("EXEC [mergeguard].[unmerge_run] @run_id = ?", (run,))
    assert picture(world) == after
    grant(world)
    assert world.outcome(NEW, GUIDS[2], preview=1) == "merged"
