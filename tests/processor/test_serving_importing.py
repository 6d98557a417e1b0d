"""`mergeguard serve` as it comes: a process that imports, tells agents their guids, wakes, and looks after itself."""

from __future__ import annotations

import secrets
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
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

A, B, C, D, E = (uuid.UUID(int=number) for number in (0xA, 0xB, 0xC, 0xD, 0xE))
MERGED = """INSERT INTO "ResourceMerge" ("OldGuid", "NewGuid", "MergedAt") VALUES ('{}', '{}', '2024-07-03')"""
IDENTIFICATION = uuid.UUID("2b2a934a-b000-57f1-83f0-b840d59f1df2")


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    settings = {"MERGEGUARD_INTEGRITY_INTERVAL_SECONDS": "3"}
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
    """Ask now and then until it is so, while the server lives; the test's own time limit ends what never is."""
    while not true():
        with suppress(subprocess.TimeoutExpired):
            pytest.fail(f"the server ended with {served.process.wait(0.05)}: {served.log}")


def names(site: Site) -> list[tuple[object, ...]]:
    return run(site, 'SELECT "_ResourceGuid", "Name" FROM "Inv_Identification" ORDER BY 1')


def test_it_imports_tells_agents_who_they_are_wakes_what_is_mended_by_hand_and_looks_after_itself(site: Site) -> None:
    with site.serve() as served:
        assert served.wait_for("the reference schema is brought up to date")["version"] == 1
        run(site, MERGED.format(E, E))
        assert served.post(inventory(A, "PC-A", "card a"), f"?source={A}")[0] == 200
        until(lambda: names(site) == [(str(A), "PC-A")], served)
        assert told(served, f"?key=uniqueid%3Dcard+a&guid={B}") == str(A)
        assert told(served, f"?key=uniqueid%3Dcard+b&guid={B}") == str(B)
        run(site, *(MERGED.format(old, new) for old, new in ((C, D), (D, C))))
        assert served.post(inventory(C, "PC-C", "card c"), f"?source={C}")[0] == 200
        until(lambda: run(site, "SELECT count(*) FROM mergeguard_parked") == [("1",)], served)
        status, text = served.get(f"{CREATE_RESOURCE}?key=uniqueid%3Dcard+c&guid={C}")
        assert (status, str(C) in text) == (503, True)
        run(site, f"""DELETE FROM "ResourceMerge" WHERE "OldGuid" = '{D}'""")
        until(lambda: names(site) == [(str(A), "PC-A"), (str(D), "PC-C")], served)
        served.wait_for("parked events were woken")
        shown = 'mergeguard_integrity_findings{name="self-merge",rule="MG002",severity="error"} 1.0'
        until(lambda: shown in served.get("/metrics")[1], served)
        served.wait_for("the integrity job is done")
        assert {line["findings"] for line in served.log if line.get("rule_name") == "self-merge"} == {1}
        _, metrics = served.get("/metrics")
        assert 'mergeguard_resource_questions_total{answer="told"} 2.0' in metrics
        assert 'mergeguard_resource_questions_total{answer="busy"} 1.0' in metrics
        assert served.stop() == ExitCode.CLEAN


def told(served: Served, query: str) -> str | None:
    """Ask who an agent is."""
    status, text = served.get(CREATE_RESOURCE + query)
    assert status == 200, text
    return ET.fromstring(text).get("guid")  # noqa: S314 - our own answer
