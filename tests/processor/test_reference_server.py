"""What a server brings to a database before it imports, and who it says a computer is."""

from __future__ import annotations

import logging
import os
import re
import secrets
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from conftest import PostgresServer

from mergeguard.core.importing.catalogue import Catalogue
from mergeguard.core.importing.keys import COMPUTER
from mergeguard.core.nse.message import Key, Resource
from mergeguard.errors import ConnectFailed, EventParked, Locked, MalformedEvent, MergeGuardError, UnknownSchema
from mergeguard.processor.handlers import EventBatch
from mergeguard.processor.importers.resources import Resolver
from mergeguard.processor.reference_server import COMPUTER_KEYS, ReferenceServer
from mergeguard.processor.settings import Settings
from mergeguard.storage import schema
from mergeguard.storage.queue.opening import open_store
from mergeguard.storage.queue.store import EventStore
from mergeguard.storage.source import Options

HUSH = "s3/cret"
AWAY = "postgresql://somebody@127.0.0.1:1/nowhere"
A, B, C = (uuid.UUID(int=number) for number in (0xA, 0xB, 0xC))


@dataclass
class Place:
    """A database and the server on it."""

    url: str
    store: EventStore
    server: ReferenceServer

    def ask(self, *keys: str, guid: uuid.UUID | None = None, kind: uuid.UUID = COMPUTER) -> uuid.UUID:
        """Ask for the resource with keys written as ``name=value``."""
        pairs = tuple(Key(*key.split("=")) for key in keys)
        found = self.server.registry.register(Resource("", guid, kind, "PC", pairs)).guid
        assert found is not None
        return found

    def write(self, *statements: str) -> None:
        with self._engine().begin() as connection:
            for statement in statements:
                connection.execute(sa.text(statement))

    def read(self, statement: str) -> list[tuple[object, ...]]:
        with self._engine().connect() as connection:
            return [tuple(row) for row in connection.execute(sa.text(statement))]

    def _engine(self) -> sa.Engine:
        return sa.create_engine(self.url, poolclass=sa.pool.NullPool)


@pytest.fixture(params=["sqlite", "postgresql", pytest.param("mssql", marks=pytest.mark.mssql)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield str(schema.sqlite_url(tmp_path / "site.db"))
        return
    if request.param == "mssql":
        emptied(os.environ["MERGEGUARD_TEST_MSSQL_URL"])
        yield os.environ["MERGEGUARD_TEST_MSSQL_URL"]
        emptied(os.environ["MERGEGUARD_TEST_MSSQL_URL"])
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = f"mergeguard_{secrets.token_hex(6)}"
    server.execute(f'CREATE DATABASE "{name}"')
    found = sa.make_url(server.url.rpartition("/")[0] + "/" + name).set(drivername="postgresql+psycopg")
    yield found.render_as_string(hide_password=False)
    server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def emptied(url: str) -> None:
    """Drop the tables of the reference schema and of ours from the database of SQL Server."""
    named = {
        table for step in schema.migrations("mssql") for table in re.findall(r"TABLE \[dbo\]\.\[(\w+)\]", step.text)
    }
    with sa.create_engine(url, poolclass=sa.pool.NullPool).begin() as connection:
        metadata = sa.MetaData()
        metadata.reflect(connection, only=lambda name, _: name.startswith("mergeguard_") or name in named)
        metadata.drop_all(connection)


@contextmanager
def opened(url: str) -> Iterator[Place]:
    settings = Settings()
    with closing(open_store(url)) as store:
        store.create()
        with closing(ReferenceServer(url, Options(), store, lambda: settings)) as server:
            yield Place(url, store, server)


@pytest.fixture
def place(url: str) -> Iterator[Place]:
    with opened(url) as found:
        found.server.prepare()
        yield found


def merge_row(old: uuid.UUID, new: uuid.UUID) -> str:
    return (
        'INSERT INTO "ResourceMerge" ("OldGuid", "NewGuid", "MergedAt") '
        f"VALUES ('{old}', '{new}', '2024-07-03 00:00:00')"
    )


def test_a_new_database_gets_the_schema_and_computers_and_the_log_says_so(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with opened(url) as place:
        place.server.prepare()
        told = [record.__dict__["version"] for record in caplog.records if "schema" in record.message]
        dialect = sa.make_url(url).get_backend_name()
        assert told == [migration.version for migration in schema.migrations(dialect)]
        ((guid, name),) = place.read('SELECT "Guid", "Name" FROM "ResourceType"')
        assert (str(guid).lower(), name) == (str(COMPUTER), "Computer")
        assert {name for (name,) in place.read('SELECT "KeyName" FROM "ResourceTypeMergeKey"')} == set(COMPUTER_KEYS)
        caplog.clear()
        place.server.prepare()
    with opened(url) as again:
        again.server.prepare()
    assert caplog.records == []


def test_types_of_its_own_are_left_as_they_are(tmp_path: Path) -> None:
    url = str(schema.sqlite_url(tmp_path / "site.db"))
    schema.migrate(url)
    mine = {"ResourceType": [{"Guid": str(A), "Name": "Printer"}]}
    schema.fill(url, mine)
    with opened(url) as place:
        place.server.prepare()
        assert [name for (name,) in place.read('SELECT "Name" FROM "ResourceType"')] == ["Printer"]


def test_tables_of_another_schema_are_refused_and_left_alone(url: str) -> None:
    with opened(url) as place:
        place.write('CREATE TABLE "ResourceType" (mine INTEGER)')
        with pytest.raises(UnknownSchema, match="cannot get the reference schema") as caught:
            place.server.prepare()
        assert "--handler store" in (caught.value.hint or "")
        assert place.read('SELECT * FROM "ResourceType"') == []
        with pytest.raises(sa.exc.DBAPIError):
            place.read('SELECT * FROM "Item"')


def test_a_database_that_is_away_is_waited_for_and_its_password_is_not_told(tmp_path: Path) -> None:
    with (
        closing(open_store(str(tmp_path / "other.db"))) as store,
        closing(ReferenceServer(AWAY, Options(password=HUSH), store, Settings)) as server,
    ):
        with pytest.raises(ConnectFailed) as caught:
            server.prepare()
        assert caught.value.retryable
        assert HUSH not in f"{caught.value.message} {caught.value.hint}"
        with pytest.raises(Locked):  # nobody is asked before the server is prepared
            server.merge(EventBatch(SimpleNamespace()), A, B, "uniqueid=1")  # type: ignore[arg-type]
        assert server.lead_somewhere([A]) == frozenset()


def prepared(place: Place) -> None:
    """Prepare as a server does, which waits for its database: another may be writing the file just now."""
    while True:
        try:
            return place.server.prepare()
        except MergeGuardError as failure:
            if not failure.retryable:
                raise


def test_servers_that_start_together_do_not_stumble(url: str) -> None:
    failures: list[BaseException] = []

    def start() -> None:
        try:
            with opened(url) as place:
                prepared(place)
        except BaseException as failure:  # noqa: BLE001 - whatever it is, it is told below
            failures.append(failure)

    with opened(url):
        threads = [threading.Thread(target=start) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []


def test_a_computer_is_known_by_its_keys_whoever_asks(place: Place) -> None:
    assert place.ask("uniqueid=card 1", guid=A) == A
    assert place.ask("uniqueid=card 1") == A
    assert place.ask("uniqueid=card 1", guid=B) == A
    assert place.ask("UNIQUEID=Card 1", "fqdn=b.example") == A
    assert place.ask("fqdn=B.EXAMPLE") == A
    new = place.ask("uniqueid=card 2")
    assert new not in {A, B}
    assert place.ask("uniqueid=card 2") == new
    # Only agents ask, so who is made is managed.
    assert [bool(managed) for (managed,) in place.read('SELECT "IsManaged" FROM "ItemResource"')] == [True, True]
    assert place.ask("uniqueid=card 3", guid=C) == C
    assert place.ask("uniqueid=card 1", "uniqueid=card 3", guid=C) == C  # keys of two make them one
    assert place.ask("uniqueid=card 1", guid=A) == C
    ((old, now, key),) = place.read('SELECT "OldGuid", "NewGuid", "MergeKey" FROM "ResourceMerge"')
    assert (str(old).lower(), str(now).lower(), key) == (str(A), str(C), "uniqueid=card 1")
    with pytest.raises(MalformedEvent, match="not in the catalogue"):
        place.ask("uniqueid=card 4", kind=C)


def test_a_guid_in_a_circle_is_nobody_until_it_is_mended(place: Place) -> None:
    place.write(merge_row(A, B), merge_row(B, A))
    assert place.server.lead_somewhere([A, C]) == {C}
    with pytest.raises(EventParked) as caught:
        place.ask("uniqueid=card 1", guid=A)
    assert (set(caught.value.guids), caught.value.status) == ({A}, "cycle")
    assert place.read('SELECT * FROM "ResourceKey"') == []
    place.write(f"""DELETE FROM "ResourceMerge" WHERE "OldGuid" = '{B}'""")
    assert place.server.lead_somewhere([A, B, C]) == {A, B, C}
    assert place.ask("uniqueid=card 1", guid=A) == B


def test_a_lock_at_the_end_of_it_is_waited_for_and_an_outage_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[Exception] = [sqlite3.OperationalError("database is locked") for _ in range(4)]

    class Batch:
        """A transaction whose last statements fail."""

        connection = None

        def finish(self, _ran: object) -> None:
            if said:
                raise said.pop()

    with opened(str(schema.sqlite_url(tmp_path / "site.db"))) as place:
        place.server.prepare()
        monkeypatch.setattr(place.server.registry._events, "batch", lambda _claim: nullcontext(Batch()))
        monkeypatch.setattr(Resolver, "resolve", lambda *_: SimpleNamespace(found=[SimpleNamespace(guid=B)]))
        monkeypatch.setattr(place.server._store, "catalogue", lambda _: Catalogue(types=frozenset({COMPUTER})))
        assert place.ask("uniqueid=card 1", guid=A) == B
        said += [sqlite3.OperationalError("database is locked") for _ in range(5)]
        with pytest.raises(Locked):
            place.ask("uniqueid=card 1", guid=A)
        said += [sqlite3.OperationalError("unable to open database file")]
        with pytest.raises(MergeGuardError, match="unable to open"):
            place.ask("uniqueid=card 1", guid=A)
        said += [KeyError("a bug")]
        with pytest.raises(KeyError):
            place.ask("uniqueid=card 1", guid=A)


def test_many_who_ask_at_once_with_one_key_are_one(place: Place) -> None:
    """Each thread asks for all keys in an order of its own, all of them are one machine."""
    answers: list[uuid.UUID] = []
    failures: list[BaseException] = []
    ready = threading.Barrier(4)

    def ask(first: int) -> None:
        try:
            ready.wait()
            answers.extend(place.ask(f"uniqueid=card {(first + step) % 4}", "name.domain=shared") for step in range(4))
        except BaseException as failure:  # noqa: BLE001 - whatever it is, it is told below
            failures.append(failure)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(set(answers)) == 1
    assert len(place.read('SELECT * FROM "ItemResource"')) == 1
    assert len(place.read('SELECT * FROM "ResourceKey"')) == 5
