"""Profiles of all shapes: odd names, other schemas, liveness by filter, by query or not at all."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from merge_model import guid
from sql_world import ask, drop, install, merge_by_sql, opened, reason_of

from mergeguard.integrity.sql_scripts import sql_scripts_of, uninstall_sql
from mergeguard.resources.merge import merge
from mergeguard.storage.profile import Journal, Live, Lookup, Merge, Merging, Profile, Reference, Types

A, B, C, D = (guid(number) for number in range(4))
ODD = "O\"dd % 'schema'"
PROFILE = Profile(
    name='od"d\nprofile',
    merge=Merge(f"{ODD}.Mer%s ges", 'O"ld', "N'ew", row_id="I d", time="wh%en", deleted_values=(str(D).upper(),)),
    lookup=Lookup('look "up', "o", "c", "d", "s"),
    live=Live(f"{ODD}.Ali've", "g uid", (('sta"te', "o'n"), ("n", "1"))),
    types=Types(f"{ODD}.Ali've", "g uid", "ki nd"),
    references=(Reference("Re%f", "ho lds"), Reference("Re%f", "al so")),
    journal=Journal("r un", "st ep", "ch%ange"),
    merging=Merging("ro ot", "gu ard", "ne ver", "re quest"),
)
DDL = """
    CREATE SCHEMA "O""dd % 'schema'";
    SET search_path = "O""dd % 'schema'";
    CREATE TABLE "Mer%s ges" ("I d" integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "O""ld" uuid, "N'ew" uuid,
        "wh%en" timestamp, "shout" text GENERATED ALWAYS AS (upper(CAST("O""ld" AS text))) STORED);
    CREATE TABLE "Ali've" ("g uid" uuid, "sta""te" text, n integer, "ki nd" text, PRIMARY KEY ("g uid", n));
    SET search_path = public;
    CREATE TABLE "Re%f" ("I d" integer, "ho lds" uuid, "al so" uuid);
"""
OURS = '"look ""up", "r un", "st ep", "ch%ange", "ro ot", "gu ard", "ne ver", "re quest"'
ALIVE = """INSERT INTO "O""dd % 'schema'"."Ali've" VALUES (%s, 'o''n', 1, %s), (%s, 'off', 2, %s)"""


@pytest.fixture
def url(postgres_url: str) -> Iterator[str]:
    drop(postgres_url)
    ask(postgres_url, 'DROP SCHEMA IF EXISTS "O""dd % \'schema\'" CASCADE; DROP TABLE IF EXISTS "Re%f"')
    ask(postgres_url, f"DROP TABLE IF EXISTS {OURS}")
    ask(postgres_url, DDL)
    for each, kind in ((A, f" {str(B).upper()} "), (B, str(B)), (C, "other")):
        ask(postgres_url, ALIVE.replace(" % ", " %% "), [each, kind, each, kind])
    yield postgres_url
    drop(postgres_url)


def test_odd_names_are_quoted_everywhere(url: str) -> None:
    install(url, PROFILE)
    install(url, PROFILE)
    ask(url, 'INSERT INTO "Re%%f" VALUES (1, %s, %s), (1, %s, NULL)', [A, A, B])
    answer = merge_by_sql(url, A, B)

    assert answer["columns"].keys() == {"Re%f.ho lds", "Re%f.al so"}
    assert answer["row"].keys() == {"I d", 'O"ld', "N'ew", "wh%en"}, "what the server makes of others is in no image"
    assert ask(url, 'SELECT "ho lds", "al so" FROM "Re%f" ORDER BY 2') == [(B, B), (B, None)]
    assert ask(url, 'SELECT o, c, d, s FROM "look ""up"') == [(A, B, 1, "ok")]
    with pytest.raises(psycopg.errors.RaiseException) as refused:
        merge_by_sql(url, B, C)
    assert reason_of(refused.value) == "type-mismatch"
    with opened(url, PROFILE) as source:
        assert merge(source, PROFILE, A, B).already
    ask(url, "SELECT mergeguard.unmerge(%s)", [answer["run_id"]])
    assert ask(url, 'SELECT "ho lds", "al so" FROM "Re%f" ORDER BY 2') == [(A, A), (B, None)]
    with opened(url, PROFILE) as source:
        merge(source, PROFILE, A, B)
    assert ask(url, "SELECT * FROM mergeguard.scan()") == []
    with opened(url, PROFILE) as source:
        assert '-- Names: profile "od"d profile"\n' in sql_scripts_of(source, PROFILE).files[0].text
        uninstall_sql(source, PROFILE, data=True)
    assert ask(url, "SELECT to_regclass('\"look \"\"up\"'), to_regnamespace('mergeguard')") == [(None, None)]


def test_what_the_profile_calls_deleted_is_a_dead_target(url: str) -> None:
    install(url, PROFILE)
    ask(
        url, """INSERT INTO "O""dd % 'schema'"."Mer%s ges" ("O""ld", "N'ew") SELECT """ + f"'{uuid.UUID(int=7)}', '{D}'"
    )
    ask(url, "SELECT mergeguard.rebuild_lookup()")
    found = ask(url, "SELECT status, current FROM mergeguard.current_guid(%s)", [uuid.UUID(int=7)])

    assert found == [("deleted", None)]
    with pytest.raises(psycopg.errors.RaiseException, match=r"dead-target: .* was deleted") as refused:
        merge_by_sql(url, A, uuid.UUID(int=7))
    assert reason_of(refused.value) == "dead-target"


@pytest.mark.parametrize(
    ("live", "status", "rows"),
    [
        (None, "ok", 0),
        (Live(query="""SELECT "g uid" FROM "O""dd % 'schema'"."Ali've" WHERE n = 1"""), "shadowed", 0),
        (PROFILE.live, "ok", 1),
    ],
    ids=["nobody knows", "a query", "a table"],
)
def test_liveness_is_what_the_profile_says(url: str, live: Live | None, status: str, rows: int) -> None:
    profile = replace(PROFILE, live=live, types=None)
    install(url, profile)
    assert merge_by_sql(url, A, B)["live_rows"] == rows
    assert ask(url, "SELECT live, types FROM mergeguard.declared") == [(live is not None, False)]
    ((current,),) = ask(url, "SELECT current FROM mergeguard.current_guid(%s)", [A])
    # A query takes nobody's life: whoever declares one has to see to it himself, and the scan says so.
    assert current == (A if status == "shadowed" else B)
    found = {name for (name,) in ask(url, "SELECT name FROM mergeguard.scan()")}
    assert ("shadowed-live" in found) == (status == "shadowed")
