"""Rings that several sessions close at once: never a circle, on a real PostgreSQL and on a file with processes."""

from __future__ import annotations

import multiprocessing
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from merge_model import guid
from merging_world import ANY, PROFILE, World, is_forest, merge_in_turn

from mergeguard.errors import Locked, MergeRefused
from mergeguard.resources import one_merge
from mergeguard.resources.merge import merge, open_merges
from mergeguard.resources.one_merge import OneMerge
from mergeguard.storage.merging.store import MergingStore
from mergeguard.storage.source import Options

PATIENT = Options(lock_timeout=30)
RINGS = {
    "two": ([], [(0, 1), (1, 0)]),
    "three": ([], [(0, 1), (1, 2), (2, 0)]),
    "four, half merged": ([(1, 2), (3, 0)], [(0, 1), (2, 3)]),
    "five, two merged": ([(1, 2), (4, 0)], [(0, 1), (2, 3), (3, 4)]),
    "into one": ([], [(0, 2), (1, 2), (3, 2)]),
    "out of one": ([], [(0, 1), (0, 2), (0, 3)]),
}


@pytest.fixture(scope="module")
def world(postgres_url: str) -> Iterator[World]:
    made = World(postgres_url)
    yield made
    made.engine.dispose()


def meeting(sessions: int, look: Callable[..., Any]) -> Callable[..., Any]:
    """Let all sessions have looked once before any of them goes on."""
    barrier, seen = threading.Barrier(sessions, timeout=60), threading.local()

    def looked(*given: Any) -> Any:
        found = look(*given)
        if not hasattr(seen, "once"):
            seen.once = True
            barrier.wait()
        return found

    return looked


def prepared(world: World, ring: str) -> Sequence[tuple[uuid.UUID, uuid.UUID]]:
    """Make the ring's committed half; return the merges that are to race."""
    before, racing = RINGS[ring]
    world.reset([guid(number) for number in range(5)])
    with world.opened() as source, open_merges(source, PROFILE) as merges:
        for old, new in before:
            merges.merge(guid(old), guid(new))
    return [(guid(old), guid(new)) for old, new in racing]


def raced(world: World, pairs: Sequence[tuple[uuid.UUID, uuid.UUID]]) -> list[str]:
    def one(pair: tuple[uuid.UUID, uuid.UUID]) -> str:
        with world.opened(PATIENT) as source:
            try:
                return "already" if merge(source, PROFILE, *pair).already else "merged"
            except MergeRefused as refused:
                return refused.reason

    with ThreadPoolExecutor(len(pairs)) as pool:
        return [done.result(timeout=90) for done in [pool.submit(one, pair) for pair in pairs]]


@pytest.mark.parametrize("ring", RINGS)
def test_a_ring_that_all_sessions_looked_at_first_is_never_closed(
    world: World, ring: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = prepared(world, ring)
    monkeypatch.setattr(OneMerge, "_look", meeting(len(pairs), OneMerge._look))
    outcomes = raced(world, pairs)
    model = world.model()
    assert is_forest(model.merges)
    assert world.stored() == model.lookup()
    assert len(model.merges) == len(RINGS[ring][0]) + outcomes.count("merged")
    assert not model.live.intersection(old for old, _ in model.merges)
    assert set(outcomes) <= {"merged", "cycle", "already"}
    assert len({model.root(one) for pair in pairs for one in pair}) == 1


def test_without_the_locks_the_same_schedule_closes_the_ring(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = prepared(world, "four, half merged")
    monkeypatch.setattr(one_merge, "read_roots", meeting(len(pairs), one_merge.read_roots))
    monkeypatch.setattr(MergingStore, "write_roots", lambda *_: None)
    assert raced(world, pairs) == ["merged", "merged"]
    assert not is_forest(world.model().merges)


def waiting(world: World) -> bool:
    with world.engine.connect() as connection:
        asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        return bool(connection.scalar(sa.text(asked)))


def until_waiting(world: World) -> None:
    deadline = time.monotonic() + 60
    while not waiting(world):
        assert time.monotonic() < deadline, "nobody waits for the other session"


def test_a_merge_waits_for_another_of_the_same_root_and_then_decides_anew(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = prepared(world, "four, half merged")
    held, go_on = threading.Event(), threading.Event()
    write = MergingStore.write_roots

    def slowly(store: MergingStore, *given: Any) -> None:
        write(store, *given)
        if not held.is_set():
            held.set()
            assert go_on.wait(60)

    monkeypatch.setattr(MergingStore, "write_roots", slowly)
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(raced, world, [first])
        assert held.wait(60)
        other = pool.submit(raced, world, [second])
        until_waiting(world)
        go_on.set()
        assert one.result(90) == ["merged"]
        assert other.result(90) == ["cycle"]
    assert is_forest(world.model().merges)


def test_a_repair_and_a_merge_exclude_each_other(world: World) -> None:
    pairs = prepared(world, "two")
    with (
        world.opened() as source,
        source.writing() as writing,
        world.opened(Options(lock_timeout=0.2)) as other,
        writing.transaction(),
        pytest.raises(Locked),
    ):
        merge(other, PROFILE, *pairs[0])
    assert world.model().merges == []


def test_the_same_request_from_two_sessions_is_made_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = prepared(world, "two")
    monkeypatch.setattr(OneMerge, "_look", meeting(2, OneMerge._look))

    def one(_: int) -> tuple[str | None, bool]:
        with world.opened(PATIENT) as source:
            merged = merge(source, PROFILE, *pairs[0], request_id="once")
        return merged.run_id, merged.repeated

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(one, range(2)))
    assert len({run for run, _ in answers}) == 1
    assert sorted(repeated for _, repeated in answers) == [False, True]
    assert len(world.model().merges) == 1


def test_two_merges_never_make_two_links_equal(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared(world, "two")
    world.insert("Links", [(ANY, guid(0), guid(3), 1), (ANY, guid(1), guid(2), 2)])
    monkeypatch.setattr(one_merge, "moves", meeting(2, one_merge.moves))
    assert raced(world, [(guid(0), guid(1)), (guid(2), guid(3))]) == ["merged", "merged"]
    assert world.model().links == [(ANY, guid(1), guid(3), 2)]


@pytest.mark.parametrize("ring", ["two", "four, half merged"])
def test_processes_on_one_file_never_close_a_ring(tmp_path: Path, ring: str) -> None:
    world = World(f"sqlite:///{tmp_path / 'world.db'}")
    pairs = prepared(world, ring)
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(len(pairs)) as pool:
        start = manager.Barrier(len(pairs))
        jobs = [pool.apply_async(merge_in_turn, (world.url, [pair] * 3, start)) for pair in pairs]
        outcomes = [outcome for job in jobs for outcome in job.get(120)]
    model = world.model()
    world.engine.dispose()
    assert is_forest(model.merges)
    assert world.stored() == model.lookup()
    assert outcomes.count("merged") == 1
    assert "cycle" in outcomes
