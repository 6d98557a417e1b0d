"""`mergeguard serve` as it comes: a process that imports, tells agents their guids, wakes, and looks after itself."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import sqlalchemy as sa
from conftest import PostgresServer
from serving_world import Served, Site

from mergeguard.core.importing.keys import COMPUTER
from mergeguard.core.nse import write
from mergeguard.core.nse.message import ClassData, Key, Message, Resource, Row, Target
from mergeguard.errors import ExitCode
from mergeguard.processor.intake.creation import CREATE_RESOURCE
from mergeguard.storage import schema

A, B = uuid.UUID(int=0xA), uuid.UUID(int=0xB)
IDENTIFICATION = uuid.UUID("2b2a934a-b000-57f1-83f0-b840d59f1df2")


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    settings = {"MERGEGUARD_INTEGRITY_INTERVAL_SECONDS": "0"}
    if request.param == "sqlite":
        yield Site(str(tmp_path / "site.db"), tmp_path / "EventQueue", settings, handler="import")
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = f"mergeguard_{secrets.token_hex(6)}"
    server.execute(f'CREATE DATABASE "{name}"')
    yield Site(server.url.rpartition("/")[0] + "/" + name, tmp_path / "EventQueue", settings, handler="import")
    server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def run(site: Site, *statements: str) -> list[tuple[object, ...]]:
    """Run statements as a person does beside the server; return what the last one found."""
    url = site.target if "://" in site.target else schema.sqlite_url(Path(site.target))
    engine = sa.create_engine(url)
    found: list[tuple[object, ...]] = []
    with engine.begin() as connection:
        for statement in statements:
            result = connection.execute(sa.text(statement))
            found = [tuple(map(str, row)) for row in result] if result.returns_rows else []
    engine.dispose()
    return found


def inventory(guid: uuid.UUID, name: str, key: str) -> bytes:
    me = Resource("me", guid, COMPUTER, name, (Key("uniqueid", key),))
    data = ClassData(IDENTIFICATION, Target("me"), (Row((name, "example.test", "Windows")),))
    return write(Message("1592b913-72f3-4c36-91d2-d4eda21d2f96", (me,), (), (data,)))


def until(true: Callable[[], bool], served: Served) -> None:
    """Ask until it is so; the test's own time limit ends what never is."""
    while not true():
        assert served.process.poll() is None, served.log


def names(site: Site) -> list[tuple[object, ...]]:
    return run(site, 'SELECT "_ResourceGuid", "Name" FROM "Inv_Identification" ORDER BY 1')


def test_events_become_rows_and_agents_are_told_who_they_are(site: Site) -> None:
    with site.serve() as served:
        told = served.wait_for("the reference schema is brought up to date")
        assert told["version"] == 1
        assert served.post(inventory(A, "PC-A", "a"), f"?source={A}")[0] == 200
        until(lambda: names(site) == [(str(A), "PC-A")], served)
        status, text = served.get(f"{CREATE_RESOURCE}?key=uniqueid%3Da&guid={B}&name=PC-B")
        assert (status, ET.fromstring(text).get("guid")) == (200, str(A))  # noqa: S314 - our own answer
        status, text = served.get(f"{CREATE_RESOURCE}?key=uniqueid%3Db&guid={B}&name=PC-B")
        assert (status, ET.fromstring(text).get("guid")) == (200, str(B))  # noqa: S314 - as above
        assert served.stop() == ExitCode.CLEAN
    assert run(site, 'SELECT "Guid" FROM "ItemResource" ORDER BY 1') == [(str(A),), (str(B),)]


def test_what_a_circle_holds_up_goes_on_when_a_person_mends_it_by_hand(site: Site) -> None:
    circle = [
        f"""INSERT INTO "ResourceMerge" ("OldGuid", "NewGuid", "MergedAt") VALUES ('{old}', '{new}', '2024-07-03')"""
        for old, new in ((A, B), (B, A))
    ]
    with site.serve() as served:
        run(site, *circle)
        assert served.post(inventory(A, "PC-A", "a"), f"?source={A}")[0] == 200
        parked = "SELECT count(*) FROM mergeguard_parked"
        until(lambda: run(site, parked) == [("1",)], served)
        status, text = served.get(f"{CREATE_RESOURCE}?key=uniqueid%3Da&guid={A}")
        assert (status, str(A) in text) == (503, True)
        run(site, f"""DELETE FROM "ResourceMerge" WHERE "OldGuid" = '{B}'""")
        until(lambda: names(site) == [(str(B), "PC-A")], served)
        served.wait_for("parked events were woken")
        assert served.stop() == ExitCode.CLEAN


def test_it_looks_after_its_database_and_shows_what_it_found(site: Site) -> None:
    site.settings["MERGEGUARD_INTEGRITY_INTERVAL_SECONDS"] = "1"
    with site.serve("--intake-only") as served:
        run(
            site,
            f"""INSERT INTO "ResourceMerge" ("OldGuid", "NewGuid", "MergedAt") VALUES ('{A}', '{A}', '2024-07-03')""",
        )
        found = served.wait_for("the merges have findings")
        assert (found["rule"], found["rule_name"], found["findings"]) == ("MG002", "self-merge", 1)
        served.wait_for("the integrity job is done")
        status, metrics = served.get("/metrics")
        assert status == 200
        assert 'mergeguard_integrity_findings{name="self-merge",rule="MG002",severity="error"} 1.0' in metrics
        assert served.stop() == ExitCode.CLEAN


def test_a_database_with_other_tables_of_these_names_is_refused(tmp_path: Path) -> None:
    site = Site(str(tmp_path / "site.db"), tmp_path / "EventQueue", handler="import")
    run(site, 'CREATE TABLE "Item" (mine INTEGER)')
    ran = site.run()
    assert (ran.returncode, ran.stdout) == (ExitCode.UNCHECKED, "")
    assert "cannot get the reference schema" in ran.stderr
    assert "hint: importers write the reference schema" in ran.stderr
    assert "Traceback" not in ran.stderr
