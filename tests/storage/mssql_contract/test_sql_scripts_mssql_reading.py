"""The SQL scripts on a real SQL Server: installed, walked, scanned, given rights, taken away."""

from __future__ import annotations

import datetime as dt
import secrets
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from mssql_scripts_world import MADE, A, B, C, World, grant, installed
from rule_model import Case, cases
from sql_findings import compare

from mergeguard.integrity.lookup import verify_lookup
from mergeguard.storage.journal.writing import Journal
from mergeguard.storage.profile import Reference

pytestmark = pytest.mark.mssql


@pytest.fixture
def world(place: Any) -> Iterator[World]:
    with installed(place) as made:
        yield made


def test_installing_twice_changes_nothing(world: World) -> None:
    grant(world)
    before = world.rows(MADE)
    rights = (
        "SELECT COUNT(*) AS n FROM sys.database_permissions AS p JOIN sys.objects AS o ON o.object_id = p.major_id "
    )
    rights += "WHERE p.class = 1 AND o.schema_id = SCHEMA_ID(N'mergeguard')"
    granted = world.rows(rights)
    assert len(before) > 40
    assert granted[0]["n"] > 8
    world.install()
    grant(world)
    after = world.rows(MADE)
    assert [row["name"] for row in after] == [row["name"] for row in before]
    assert [row["definition"] for row in after] == [row["definition"] for row in before]
    assert world.rows(rights) == granted


def test_a_journal_made_by_the_scripts_is_the_journal_of_python(world: World) -> None:
    with closing(world.source()) as source:
        assert Journal(source, world.profile).exists()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=cases())
def test_each_guid_and_the_lookup_are_what_the_dictionary_says(world: World, case: Case) -> None:
    case = replace(case, live=case.live or frozenset())
    world.fill(case)
    for old in case.olds:
        status, current, depth = case.answers[old]
        (found,) = world.rows("SELECT * FROM [mergeguard].[current_guid](?)", (str(old),))
        said = found["current"]
        assert (said and uuid.UUID(str(said)), found["depth"], found["status"]) == (current, depth, status)
    world.rows("EXEC [mergeguard].[rebuild_lookup]")
    with closing(world.source()) as source:
        checked = verify_lookup(source, world.profile)
    assert (checked.rows, checked.drift) == (len(case.olds), 0)
    again = world.rows("EXEC [mergeguard].[rebuild_lookup]")
    assert again == [{"rows": len(case.olds), "written": 0, "deleted": 0}]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=cases())
def test_the_scan_finds_what_python_finds(world: World, case: Case) -> None:
    one = {} if case.references is None else {"x": {k: n for c in case.references.values() for k, n in c.items()}}
    case = replace(
        case, live=case.live or frozenset(), types=case.types or (), references=one or {"x": {}}, stored=None
    )
    case = replace(case, times=case.times or tuple(dt.datetime(2024, 1, 1, tzinfo=dt.UTC) for _ in case.pairs))
    held = Reference(f"{world.place.schema}.held", "guid")
    before, world.profile = world.profile, replace(world.profile, references=(held,))
    try:
        world.fill(case)
        world.install()
        world.rows("EXEC [mergeguard].[rebuild_lookup]")
        found = world.rows("EXEC [mergeguard].[scan_merges]")
    finally:
        world.profile = before
    for row in found:
        row["guid"] = row["guid"] and uuid.UUID(str(row["guid"]))
    compare(case, found)
    assert "lookup-drift" not in {row["name"] for row in found}


def test_a_long_chain_and_a_circle_end(world: World) -> None:
    length = 5000
    numbers = f"SELECT TOP ({length}) ROW_NUMBER() OVER (ORDER BY (SELECT NULL)) AS n FROM sys.all_columns AS a"
    made = "CONVERT(uniqueidentifier, CONVERT(binary(16), {}))"
    name, pair = world.place.name("merges"), f"{made.format('n')}, {made.format('n + 1')}"
    world.rows(f"INSERT INTO {name} ([old], [new]) SELECT {pair} FROM ({numbers}, sys.all_columns AS b) AS x")
    first = "SELECT * FROM [mergeguard].[current_guid](CONVERT(uniqueidentifier, CONVERT(binary(16), 1)))"
    (found,) = world.rows(first)
    assert (found["depth"], found["status"]) == (length, "dangling")
    world.rows("EXEC [mergeguard].[rebuild_lookup]")
    deepest = world.rows("SELECT MAX([depth]) AS d, COUNT(*) AS n FROM [mergeguard].[lookup_rows]")
    assert deepest == [{"d": length, "n": length}]
    world.rows(f"INSERT INTO {name} ([old], [new]) VALUES ({made.format(length + 1)}, {made.format(1)})")
    assert world.rows(first)[0]["status"] == "cycle"
    (ring,) = [row for row in world.rows("EXEC [mergeguard].[scan_merges]") if row["name"] == "cycle"]
    assert ring["rows"] == length + 1


def login(world: World, role: str) -> Iterator[sa.URL]:
    name, word = f"mergeguard_{secrets.token_hex(4)}", "P1;{" + secrets.token_hex(8)
    place = world.place
    try:
        place.run(f"CREATE LOGIN [{name}] WITH PASSWORD = N'{word}', CHECK_POLICY = OFF")
    except sa.exc.DBAPIError:
        pytest.skip("the login may not make another one")
    place.run(f"CREATE USER [{name}] FOR LOGIN [{name}]", f"ALTER ROLE [{role}] ADD MEMBER [{name}]")
    try:
        yield place.changed(UID=name, PWD=word, Trusted_Connection="No")
    finally:
        place.drop_login(name)


def test_roles_may_what_they_are_for_and_no_more(world: World) -> None:
    world.fill(Case((), (), live=frozenset((A, B, C))))
    grant(world)
    table = world.place.name("merges")
    denied = {
        "mergeguard_scan": ["merge", "unmerge", "rebuild", "never"],
        "mergeguard_processor": ["unmerge", "rebuild", "never"],
        "mergeguard_repair": [],
    }
    run = world.merge(C, B)["run_id"]
    for role, forbidden in denied.items():
        for url in login(world, role):
            assert world.rows("EXEC [mergeguard].[scan_merges]", url=url) is not None
            assert world.rows("SELECT * FROM [mergeguard].[current_guid](?)", (str(C),), url=url)[0]["depth"] == 1
            for sql in (
                f"SELECT * FROM {table}",
                f"DELETE FROM {table}",
                "EXEC [mergeguard].[put_merge] NULL, NULL, NULL",
            ):
                with pytest.raises(sa.exc.DBAPIError, match=r"denied|\(229\)"):
                    world.rows(sql, url=url)
            tries = {
                "merge": ("EXEC [mergeguard].[merge_guids] @old = ?, @new = ?, @preview = 1", (str(A), str(B))),
                "rebuild": ("EXEC [mergeguard].[rebuild_lookup]", ()),
                "never": (
                    "INSERT INTO [mergeguard].[never_pairs] ([one_guid], [other_guid]) VALUES (NEWID(), NEWID())",
                    (),
                ),
                "unmerge": ("EXEC [mergeguard].[unmerge_run] @run_id = ?", (run,)),
            }
            for what, (sql, values) in tries.items():
                if what in forbidden:
                    with pytest.raises(sa.exc.DBAPIError, match=r"denied|\(229\)"):
                        world.rows(sql, values, url=url)
                else:
                    world.rows(sql, values, url=url)
    with closing(world.source()) as source:
        assert [made.kind for made in Journal(source, world.profile).runs()][:1] == ["undo"]


def test_a_merge_by_a_role_is_written_down_under_its_login(world: World) -> None:
    world.fill(Case((), (), live=frozenset((A, B))))
    grant(world)
    for url in login(world, "mergeguard_processor"):
        world.merge(A, B, url=url)
        (made,) = world.rows("SELECT [who] FROM [mergeguard].[journal_runs]")
        assert made["who"].startswith("mergeguard_")


def test_pairs_never_to_merge_are_written_through_their_view(world: World) -> None:
    world.fill(Case((), (), live=frozenset((A, B, C))))
    view = "[mergeguard].[never_pairs]"
    pair = "CONVERT(char(36), [one_guid]) AS one, CONVERT(char(36), [other_guid]) AS other, [why]"

    def found() -> list[tuple[str, str, str]]:
        rows = world.rows(f"SELECT {pair} FROM {view} ORDER BY [why]")
        return [(row["one"].lower(), row["other"].lower(), row["why"]) for row in rows]

    world.rows(f"INSERT INTO {view} VALUES (?, ?, NULL, 'one'), (?, ?, NULL, 'two')", (str(A), str(B), str(B), str(C)))
    assert found() == [(str(A), str(B), "one"), (str(B), str(C), "two")]
    world.rows(f"UPDATE {view} SET [other_guid] = ?, [why] = 'three' WHERE [why] = 'two'", (str(A),))
    assert found() == [(str(A), str(B), "one"), (str(B), str(A), "three")]
    world.rows(f"DELETE FROM {view} WHERE [one_guid] = ?", (str(A),))
    assert found() == [(str(B), str(A), "three")]
