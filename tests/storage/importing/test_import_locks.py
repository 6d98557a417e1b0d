"""Importers beside each other and beside merges on PostgreSQL: who has to wait does, and sees what was done."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from import_places import COMPUTER, EVERYTHING, OWNER, ImportPlace

from mergeguard.core.importing.standing import Linked
from mergeguard.core.nse.message import Key
from mergeguard.resources.merge import merge
from mergeguard.storage.importing.store import ImportTransaction

Work = Callable[[ImportTransaction], Any]
BLOCKED = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


class Second:
    """Runs something in another thread."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.answer: Any = None
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(work,))
        self._thread.start()

    def _run(self, work: Callable[[], Any]) -> None:
        try:
            self.answer = work()
        except BaseException as error:  # noqa: BLE001 - told to the test
            self.error = error

    def wait_until_blocked(self, place: ImportPlace, *, sessions: int = 1) -> None:
        """Come back when so many sessions wait for a lock; fail where this one never has to."""
        with place.store.source.engine.connect() as connection:
            while connection.execute(sa.text(BLOCKED)).scalar_one() < sessions:
                connection.rollback()
                assert self._thread.is_alive(), "nothing kept it waiting"

    @property
    def waits(self) -> bool:
        return self._thread.is_alive()

    def join(self) -> Any:
        self._thread.join()
        if self.error is not None:
            raise self.error
        return self.answer


@contextmanager
def kept(place: ImportPlace, first: Work, second: Callable[[], Any]) -> Iterator[Second]:
    """Run ``second`` while the batch of ``first`` is open, see it wait, commit, and give it to the test."""
    with place.doing() as batch:
        first(place.store.within(batch))
        _ = batch.connection
        other = Second(second)
        try:
            other.wait_until_blocked(place)
        except BaseException:
            other.join()
            raise
    yield other
    other.join()


def importing(place: ImportPlace, work: Work) -> Callable[[], Any]:
    def run() -> Any:
        with place.doing() as batch:
            return work(place.store.within(batch))

    return run


@pytest.fixture
def guids(postgresql: ImportPlace) -> list[uuid.UUID]:
    """Live resources that nobody else knows."""
    made = sorted(uuid.uuid4() for _ in range(3))
    importing(postgresql, lambda transaction: [transaction.create(guid, COMPUTER, "pc") for guid in made])()
    return made


def test_one_key_makes_one_resource(postgresql: ImportPlace) -> None:
    guid, key = uuid.uuid4(), Key("uniqueid", uuid.uuid4().hex)
    shouted = Key("UNIQUEID", key.value.upper())

    def create(transaction: ImportTransaction) -> None:
        transaction.hold_keys([key])
        transaction.create(guid, COMPUTER, "pc")
        transaction.add_keys(guid, [key])

    def look(transaction: ImportTransaction) -> list[uuid.UUID]:
        assert transaction.owners([shouted]) == []
        transaction.hold_keys([Key("fqdn", "other"), shouted])
        return [one.resource for one in transaction.owners([shouted])]

    with kept(postgresql, create, importing(postgresql, look)) as second:
        assert second.join() == [guid]
    with postgresql.trying() as batch:
        assert postgresql.ask(batch, "SELECT count(*) FROM mergeguard_key") == [(0,)]


def test_a_key_is_free_again_after_a_rollback(postgresql: ImportPlace) -> None:
    with postgresql.trying() as batch:
        postgresql.store.within(batch).hold_keys([Key("uniqueid", "x")])
    importing(postgresql, lambda transaction: transaction.hold_keys([Key("uniqueid", "x")]))()


@pytest.mark.parametrize("loaded", [False, True])
def test_one_event_at_a_time_decides_what_is_newest(
    postgresql: ImportPlace, guids: list[uuid.UUID], loaded: bool
) -> None:
    pair = (EVERYTHING.guid, guids[0])
    row = ("k", *[None] * 6)

    def load(transaction: ImportTransaction, event: int = 7) -> None:
        transaction.summaries([pair])
        transaction.replace_rows(EVERYTHING, guids[0], [row])
        transaction.summarise(EVERYTHING, guids[0], 1, "a" * 32, event)

    def look(transaction: ImportTransaction) -> int | None:
        found = transaction.summaries([pair])
        load(transaction, 8)
        return found[pair].event

    if loaded:
        importing(postgresql, lambda transaction: load(transaction, 1))()
    with kept(postgresql, load, importing(postgresql, look)) as second:
        assert second.join() == 7
    with postgresql.trying() as batch:
        assert postgresql.rows(batch, EVERYTHING)[guids[0]] == [row]


def test_who_only_looked_left_nothing(postgresql: ImportPlace, guids: list[uuid.UUID]) -> None:
    pair = (EVERYTHING.guid, guids[0])
    assert importing(postgresql, lambda transaction: transaction.summaries([pair]))() == {}
    assert importing(postgresql, lambda transaction: transaction.summaries([pair]))() == {}


def test_one_event_at_a_time_counts_the_links_of_a_parent(postgresql: ImportPlace, guids: list[uuid.UUID]) -> None:
    parent, one, other = guids

    def add(transaction: ImportTransaction) -> None:
        assert transaction.linked([(OWNER, parent)]) == []
        transaction.link([Linked(OWNER, parent, one, 3)])

    def replace(transaction: ImportTransaction) -> list[uuid.UUID]:
        found = transaction.linked([(OWNER, parent)])
        transaction.unlink(found)
        transaction.link([Linked(OWNER, parent, other, 4)])
        return [each.child for each in found]

    with kept(postgresql, add, importing(postgresql, replace)) as second:
        assert second.join() == [one]
    assert importing(postgresql, lambda transaction: transaction.linked([(OWNER, parent)]))() == [
        Linked(OWNER, parent, other, 4)
    ]


def test_importers_share_guids_and_a_merge_waits_for_both(postgresql: ImportPlace, guids: list[uuid.UUID]) -> None:
    old, new, _ = guids
    source = postgresql.store.source
    importing(postgresql, lambda transaction: transaction.hold(guids))()  # only the first to hold a guid is alone
    with postgresql.doing() as batch:
        first = postgresql.store.within(batch)
        first.hold([new, old])
        importing(postgresql, lambda transaction: transaction.hold([old, new]))()
        other = Second(lambda: merge(source, source.profile, old, new))
        other.wait_until_blocked(postgresql)
        assert first.standings([old])[old].current == old
        first.replace_rows(EVERYTHING, old, [("k", *[None] * 6)])
        first.summarise(EVERYTHING, old, 1, "a" * 32, 5)
    assert other.join().new_root == new
    found = importing(postgresql, lambda transaction: transaction.standings([old]))()
    assert found[old].current == new


def test_an_import_waits_for_a_merge_and_sees_it(postgresql: ImportPlace, guids: list[uuid.UUID]) -> None:
    old, new, _ = guids
    engine = postgresql.store.source.engine

    def look(transaction: ImportTransaction) -> uuid.UUID | None:
        assert transaction.standings([old])[old].current == old
        transaction.hold([old])
        return transaction.standings([old])[old].current

    with engine.connect() as merging:
        names = {"old": old, "new": new}
        merging.execute(sa.text("INSERT INTO mergeguard_root (guid, turn) VALUES (:old, 1), (:new, 1)"), names)
        merging.execute(
            sa.text('INSERT INTO "ResourceMerge" ("OldGuid", "NewGuid", "MergedAt") VALUES (:old, :new, now())'), names
        )
        merging.execute(sa.text('DELETE FROM "ItemResource" WHERE "Guid" = :old'), names)
        second = Second(importing(postgresql, look))
        second.wait_until_blocked(postgresql)
        merging.commit()
    assert second.join() == new


def test_a_repair_waits_for_an_import(postgresql: ImportPlace, guids: list[uuid.UUID]) -> None:
    source = postgresql.store.source

    def repair() -> bool:
        with source.writing() as writing, writing.transaction():
            return True

    with kept(postgresql, lambda transaction: transaction.hold([guids[0]]), repair) as second:
        assert second.join()


def test_what_is_written_behind_a_hold_is_seen(postgresql: ImportPlace) -> None:
    guid = uuid.uuid4()
    with postgresql.trying() as batch:
        transaction = postgresql.store.within(batch)
        assert not transaction.standings([guid])[guid].live
        transaction.hold([guid])
        assert not transaction.standings([guid])[guid].live
        transaction.create(guid, COMPUTER, "pc")
        assert transaction.standings([guid])[guid].live


def test_a_merge_that_waits_is_not_passed_by(postgresql: ImportPlace, guids: list[uuid.UUID]) -> None:
    """Else a merge of what all importers share would wait for as long as there are any."""
    old, new, other = guids
    source = postgresql.store.source
    importing(postgresql, lambda transaction: transaction.hold(guids))()

    def look(transaction: ImportTransaction) -> uuid.UUID | None:
        transaction.hold([old])
        return transaction.standings([old])[old].current

    with postgresql.doing() as batch:
        postgresql.store.within(batch).hold([old])
        merging = Second(lambda: merge(source, source.profile, old, new))
        merging.wait_until_blocked(postgresql)
        postgresql.store.within(batch).hold([old, other])  # what it shares already it does not queue for
        second = Second(importing(postgresql, look))
        second.wait_until_blocked(postgresql, sessions=2)
    assert merging.join().new_root == new
    assert second.join() == new
