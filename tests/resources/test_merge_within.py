"""Merges in a transaction of the event queue: they come true with its commit or never, and close no circle there."""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from merge_model import guid
from merging_world import PROFILE, Model, World, is_forest

from mergeguard.core.events import Claim, NewEvent, Queue, Ran
from mergeguard.errors import Locked, MergeRefused, UnknownSchema, Unsupported, UsageError
from mergeguard.integrity.lookup import build_lookup
from mergeguard.resources.merge import ReadyMerges, merge_within, prepare_merges
from mergeguard.storage.queue.opening import open_store
from mergeguard.storage.queue.store import Batch, EventStore
from mergeguard.storage.rows.database import DatabaseRows
from mergeguard.storage.rows.within import rows_in
from mergeguard.storage.source import Options
from mergeguard.storage.targets import open_target

KNOWN = [guid(number) for number in range(5)]
A, B, C, D = KNOWN[:4]
PATIENT = Options(lock_timeout=20)
PAIRS = st.lists(st.tuples(st.sampled_from(KNOWN), st.sampled_from(KNOWN)), min_size=1, max_size=4)


class Failed(Exception):
    """What a handler raises."""


class Place:
    """A world whose database has an event queue as well."""

    def __init__(self, url: str) -> None:
        self.world = World(url)
        self.store: EventStore = open_store(url, PATIENT)
        self.store.create()

    def reset(self, *, lookup: bool = True) -> Model:
        self.store.close()  # what its connections know of the tables goes with them
        self.store = open_store(self.world.url, PATIENT)
        model = self.world.reset(KNOWN, lookup=lookup)
        rows = [(each, f"of {number}") for number, each in enumerate(KNOWN)]
        self.world.insert("Evt", rows)
        model.events = list(rows)
        return model

    def claim(self) -> Claim:
        source = uuid.uuid4()
        self.store.register([NewEvent(source, 0, Queue.FAST, 1, b"x")])
        found = self.store.claim(Queue.FAST, str(source), dt.timedelta(hours=1), chains=1)
        assert found is not None
        return found

    @contextmanager
    def ready(self) -> Iterator[ReadyMerges]:
        with self.world.opened(PATIENT) as source:
            yield prepare_merges(source, PROFILE)

    @contextmanager
    def batch(self) -> Iterator[Batch]:
        claim = self.claim()
        with self.store.batch(claim) as batch:
            yield batch
            batch.finish([Ran(claim.leases[0], 1)])

    def waiting(self) -> int:
        return len(self.store.waiting())

    def journalled(self) -> int:
        with self.world.engine.connect() as connection:
            return connection.execute(sa.text("SELECT count(*) FROM mergeguard_step")).scalar_one()

    def close(self) -> None:
        self.store.close()
        self.world.engine.dispose()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with closing(Place(f"sqlite:///{tmp_path_factory.mktemp('within') / 'within.db'}")) as made:
        yield made


@pytest.fixture(scope="module")
def server(postgres_url: str) -> Iterator[Place]:
    with closing(Place(postgres_url)) as made:
        yield made


@pytest.fixture(params=["file", "server"])
def place(request: pytest.FixtureRequest) -> Place:
    found: Place = request.getfixturevalue(request.param)
    return found


def fail_unless(keeps: bool) -> None:
    if not keeps:
        raise Failed


def rows_of(ready: ReadyMerges, batch: Batch) -> DatabaseRows:
    return rows_in(ready.source, batch.connection)


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pairs=PAIRS, kept=st.lists(st.booleans(), min_size=4, max_size=4))
def test_what_a_savepoint_keeps_is_merged_and_what_it_undoes_is_not(
    place: Place, pairs: list[tuple[uuid.UUID, uuid.UUID]], kept: list[bool]
) -> None:
    model, waiting = place.reset(), place.waiting()
    with place.ready() as ready:
        with place.batch() as batch:
            for (old, new), keeps in zip(pairs, kept, strict=False):
                try:
                    with batch.savepoint():
                        found = ready.merge_within(rows_of(ready, batch), old, new, key="name=value")
                        fail_unless(keeps)
                except (Failed, MergeRefused):
                    continue
                if not found.already:
                    model.merge(model.root(old), model.root(new))
        assert place.journalled() == len(model.merges)
    after = place.world.model()
    assert (after.merges, after.live, sorted(after.events)) == (model.merges, model.live, sorted(model.events))
    assert place.world.stored() == model.lookup()
    assert place.waiting() == waiting


def test_a_batch_that_fails_leaves_neither_the_merge_nor_the_mark(place: Place) -> None:
    place.reset()
    before, waiting = place.world.picture(), place.waiting()

    def fail(ready: ReadyMerges) -> None:
        with place.batch() as batch:
            assert ready.merge_within(rows_of(ready, batch), A, B).run_id
            raise Failed

    with place.ready() as ready:
        with pytest.raises(Failed):
            fail(ready)
        assert (place.journalled(), place.waiting()) == (0, waiting + 1)
    assert place.world.picture() == before


def test_a_refusal_leaves_the_batch_as_it_was(place: Place) -> None:
    place.reset()
    with place.ready() as ready:
        with place.batch() as batch:
            ready.merge_within(rows_of(ready, batch), A, B)
            with pytest.raises(MergeRefused) as refused:
                ready.merge_within(rows_of(ready, batch), B, A)
            ready.merge_within(rows_of(ready, batch), B, C)
        assert refused.value.reason == "cycle"
    assert place.world.model().merges == [(A, B), (B, C)]


def test_an_id_is_answered_once_within_a_batch_and_after_it(place: Place) -> None:
    place.reset()
    with place.ready() as ready:
        with place.batch() as batch:
            first = ready.merge_within(rows_of(ready, batch), A, B, request_id="event 1")
            again = ready.merge_within(rows_of(ready, batch), A, B, request_id="event 1")
        with place.batch() as batch:
            later = ready.merge_within(rows_of(ready, batch), A, B, request_id="event 1")
    assert (first.repeated, again.repeated, later.repeated) == (False, True, True)
    assert first.run_id == again.run_id == later.run_id


def test_it_can_be_called_with_a_source_and_its_rows(place: Place) -> None:
    place.reset()
    with place.ready() as ready, place.batch() as batch:
        source = ready.source
        found = merge_within(source, PROFILE, rows_of(ready, batch), A, B, key="k")
        assert merge_within(source, PROFILE, rows_of(ready, batch), B, C).new_root == C
        with pytest.raises(UsageError):
            merge_within(source, PROFILE, rows_of(ready, batch), C, D, request_id="x" * 65)
    assert found.row is not None
    assert place.world.rows("Merges")[0][3] == "k"


def test_a_lookup_that_was_built_meanwhile_is_kept(place: Place) -> None:
    model = place.reset(lookup=False)
    with place.ready() as ready:
        with place.batch() as batch:
            ready.merge_within(rows_of(ready, batch), A, B)
        with place.world.opened() as source:
            build_lookup(source, PROFILE)
        with place.batch() as batch:
            ready.merge_within(rows_of(ready, batch), B, C)
    model.merge(A, B)
    model.merge(B, C)
    assert place.world.stored() == model.lookup()


def test_a_lookup_that_was_dropped_costs_one_try_at_most(place: Place) -> None:
    place.reset()
    with place.ready() as ready:
        with place.batch() as batch:
            ready.merge_within(rows_of(ready, batch), A, B)
        with place.world.engine.begin() as connection:
            connection.execute(sa.text("DROP TABLE mergeguard_lookup"))
        with suppress(UnknownSchema), place.batch() as batch:
            ready.merge_within(rows_of(ready, batch), B, C)
        with place.batch() as batch:
            ready.merge_within(rows_of(ready, batch), B, C)
    assert place.world.model().merges == [(A, B), (B, C)]


def test_rows_are_made_once_a_transaction_and_again_behind_a_savepoint(place: Place) -> None:
    place.reset()
    with place.ready() as ready, place.batch() as batch:
        with batch.savepoint():
            first = rows_of(ready, batch)
            same = rows_of(ready, batch)
        after = rows_of(ready, batch)
        assert first.known is after.known
        if place.world.kind != "sqlite":
            assert first is same
            assert after is not first


def test_files_are_not_merged_in(tmp_path: Path) -> None:
    path = tmp_path / "merges.csv"
    path.write_text("OldGuid,NewGuid\n")
    with closing(open_target(str(path), PROFILE)) as source, pytest.raises(Unsupported):
        prepare_merges(source, PROFILE)


def test_two_batches_that_close_a_ring_close_none(server: Place) -> None:
    server.reset()
    barrier = threading.Barrier(2, timeout=60)
    found: dict[str, Any] = {}

    def merge(name: str, old: uuid.UUID, new: uuid.UUID) -> None:
        with server.ready() as ready:
            try:
                with server.batch() as batch:
                    rows = rows_of(ready, batch)
                    barrier.wait()
                    found[name] = ready.merge_within(rows, old, new)
            except (MergeRefused, Locked) as error:
                found[name] = error

    with server.ready():
        threads = [threading.Thread(target=merge, args=each) for each in (("one", A, B), ("other", B, A))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    refused = [each for each in found.values() if isinstance(each, MergeRefused)]
    assert (len(found), len(refused)) == (2, 1)
    assert is_forest(server.world.model().merges)
