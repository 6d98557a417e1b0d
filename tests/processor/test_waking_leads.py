"""Where guids lead, asked beside a running queue: as the closure says, whoever changes the merges and however."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from merge_model import Pair, answers, guid, with_live
from merging_world import PROFILE, World

from mergeguard import api
from mergeguard.core.events import Event, NewEvent, Queue
from mergeguard.core.guids import TOMBSTONE
from mergeguard.errors import EventParked, UnknownSchema, Unsupported
from mergeguard.integrity.planning import PlanOptions
from mergeguard.processor.event_bodies import EventBodies
from mergeguard.processor.handlers import EventBatch
from mergeguard.processor.settings import Settings
from mergeguard.processor.waking import Waking, leads
from mergeguard.processor.worker import Worker
from mergeguard.storage.queue.opening import open_store
from mergeguard.storage.queue.store import EventStore
from mergeguard.storage.source import Options
from mergeguard.storage.targets import open_target

RING = [guid(number) for number in range(3)]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    if request.param == "sqlite":
        made = World(f"sqlite:///{tmp_path_factory.mktemp('leads') / 'world.db'}")
        yield made
        made.engine.dispose()
        return
    server = request.getfixturevalue("postgres_server")
    name = f"mergeguard_{secrets.token_hex(6)}"
    server.execute(f'CREATE DATABASE "{name}"')
    made = World(server.url.rpartition("/")[0] + "/" + name)
    yield made
    made.engine.dispose()
    server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@settings(max_examples=max(10, settings().max_examples // 10), suppress_health_check=[HealthCheck.too_slow])
@given(drawn=with_live())
def test_those_lead_somewhere_that_the_closure_gives_a_current(
    world: World, drawn: tuple[list[Pair], frozenset[uuid.UUID] | None]
) -> None:
    pairs, live = drawn
    pairs = [(old, new) for old, new in pairs if new != TOMBSTONE]
    world.reset(live or (), lookup=False)
    world.insert("Merges", [(old, new, 1, None) for old, new in pairs])
    found = answers(pairs, live or ())
    asked = {*found, *(new for _, new in pairs), guid(77)}
    with world.opened() as source:
        ask = leads(source, PROFILE)
        assert ask(asked) == {one for one in asked if one not in found or found[one][1] is not None}
        assert ask([]) == frozenset()


@pytest.fixture
def store(world: World) -> Iterator[EventStore]:
    world.reset()
    made = open_store(world.url)
    made.create()
    with world.engine.begin() as connection:
        for table in ("mergeguard_event", "mergeguard_parked", "mergeguard_chain"):
            connection.execute(sa.text(f"DELETE FROM {table}"))
    yield made
    made.close()


def cut_by_hand(world: World) -> None:
    with world.engine.begin() as connection:
        merges = world.tables["Merges"]
        connection.execute(merges.delete().where(merges.c.OldGuid == world.told("OldGuid", RING[0])))


def unmerged(world: World) -> None:
    api.unmerge(world.url, RING[1], PROFILE)


def repaired(world: World) -> None:
    plan = api.plan(world.url, PROFILE, plan_options=PlanOptions(allow_arbitrary=True))
    assert plan.steps, plan.refused
    api.apply(plan, world.url)


def made_live(world: World) -> None:
    world.insert("Alive", [(RING[1],), (RING[2],)])


@pytest.mark.parametrize(
    ("mend", "sends"), [(cut_by_hand, True), (unmerged, False), (repaired, True), (made_live, False)]
)
def test_whoever_mends_a_ring_the_next_look_wakes_what_it_parked(
    world: World, store: EventStore, tmp_path: Path, mend: Callable[[World], None], sends: bool
) -> None:
    world.insert("Merges", [(old, new, 1, None) for old, new in zip(RING, RING[1:] + RING[:1], strict=True)])
    world.insert("Inv_Owner", [(RING[0], "so that it is worth a repair")])
    source = open_target(world.url, PROFILE, Options())
    ask = leads(source, PROFILE)
    done: list[bytes] = []

    class Importer:
        def handle(self, event: Event, body: bytes, batch: EventBatch) -> None:
            row = world.told("Guid", RING[0]), body.decode()
            batch.add('INSERT INTO "Inv_Many" ("Guid", "What") VALUES (?, ?)', row)
            if event.priority:
                _ = batch.connection  # what was added is sent, and is to be taken back
            guids = () if body == b"free" else (RING[1], RING[2])
            lost = tuple(one for one in guids if one not in ask(guids))
            if lost:
                raise EventParked("they lead in a circle", guids=lost, status="cycle")
            done.append(body)

    places = settings_in(tmp_path)
    worker = Worker(
        store, lambda: places, Importer(), EventBodies(tmp_path), clock=lambda: 0.0, is_stopping=lambda: False
    )
    line, other = uuid.UUID(int=1), uuid.UUID(int=2)
    bodies = [(line, b"tangled"), (line, b"behind it"), (other, b"free")]
    store.register([NewEvent(key, int(sends), Queue.FAST, len(body), body) for key, body in bodies])
    watch = Waking(store, ask)
    worked(store, worker)
    assert set(done) == {b"free"}
    assert world.rows("Inv_Many") == [(RING[0], "free")]
    assert watch.look() == []
    assert [one.parking.guids for one in store.parked()] == [(RING[1], RING[2])]
    mend(world)
    assert len(watch.look()) == 1
    worked(store, worker)
    assert done[-2:] == [b"tangled", b"behind it"]
    assert sorted(what for _, what in world.rows("Inv_Many")) == ["behind it", "free", "tangled"]
    assert store.chains() == store.parked() == []
    source.close()


def settings_in(folder: Path) -> Settings:
    return Settings(event_queue_path=folder, batch_milliseconds=60_000)


def worked(store: EventStore, worker: Worker) -> None:
    """Let a worker run until nothing is offered to it."""
    while (claim := store.claim(Queue.FAST, "w", settings_in(Path()).lease)) is not None:
        assert worker.handle(claim).verdict is None
        store.release(claim)


def test_what_cannot_be_asked_is_said(tmp_path: Path) -> None:
    (tmp_path / "merges.csv").write_text("OldGuid,NewGuid\n")
    with pytest.raises(Unsupported):
        leads(open_target(str(tmp_path / "merges.csv"), PROFILE, Options()), PROFILE)
    sa.create_engine(f"sqlite:///{tmp_path / 'empty.db'}").connect().close()
    (tmp_path / "empty.db").touch()
    with pytest.raises(UnknownSchema):
        leads(open_target(str(tmp_path / "empty.db"), PROFILE, Options()), PROFILE)([guid(1)])
