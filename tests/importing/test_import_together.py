"""Events that are prepared together leave what they leave one by one, and faults planted into that are found."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, example, given, settings
from importing.import_cases import Sent
from importing.import_together import GUIDS, TANGLED, Came, Crowd, OneByOne, Stuck, crowds, play
from importing.import_world import World

from mergeguard.core.importing.answers import Answers
from mergeguard.processor.handlers import EventBatch
from mergeguard.processor.looking_ahead import LookingAhead
from mergeguard.storage.importing.postgresql_ahead import AheadTransaction

SAME: Final = Sent(1, single=2, many=((0, 1),), any_=(2,), same=True)
AGAIN: Final = Crowd((SAME, Sent(0, single=1, same=True)), (SAME, Sent(0, single=1, same=True), SAME))
CHANGED_BACK: Final = Crowd((SAME,), (Sent(1, single=3), SAME))
CROWDED: Final = Crowd((), (Sent(0, one=1), Sent(0, one=2), Sent(0, one=2)))
SHARING: Final = Crowd((), (Sent(0, newcomer=True, shared=0), Sent(1, newcomer=True, shared=0), Sent(2, shared=0)))
MADE: Final = Crowd((), (Sent(GUIDS + 5), Sent(0, any_=(GUIDS + 5,), single=GUIDS + 5)))
"""The second one refers to what the first one makes."""
MERGED: Final = Crowd(
    (SAME, Sent(0, shared=0)), (SAME, Sent(0, single=3), Sent(1, shared=0), Sent(0, single=2, same=True))
)
"""The third one merges by a key, and newer data come with it; then what stood there before is said again."""
LINKED: Final = Crowd((Sent(0, shared=0),), (Sent(0, any_=(2,)), Sent(1, shared=0), Sent(3, any_=(0,))))
"""The second one merges away what the first one links."""
UNDONE: Final = Crowd(
    (Sent(1, single=2, one=2, same=True), SAME),
    (Sent(1, single=2, one=3, same=True), SAME, Sent(2, any_=(TANGLED,)), SAME),
    frozenset({1}),
)
"""The first one is sent before the second one fails."""


@pytest.fixture(autouse=True, scope="module")
def _silence() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def both(world: World, crowd: Crowd) -> tuple[Came, Came]:
    return play(world, crowd, world.importer), play(world, crowd, OneByOne(world.importer))


@settings(max_examples=12, suppress_health_check=list(HealthCheck), deadline=None)
@given(crowds())
@example(AGAIN)
@example(CHANGED_BACK)
@example(CROWDED)
@example(SHARING)
@example(MADE)
@example(MERGED)
@example(LINKED)
@example(UNDONE)
def test_together_they_leave_what_they_leave_one_by_one(world: World, crowd: Crowd) -> None:
    together, alone = both(world, crowd)
    assert together == alone


# --- Faults ---


def _nothing(*_: Any, **__: Any) -> None:
    pass


def _patched(where: type, name: str, put: Callable[..., Any] = _nothing) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: patch.setattr(where, name, put)


def _kept_after_it_is_undone(patch: pytest.MonkeyPatch) -> None:
    def forget(self: EventBatch) -> None:
        self._effects.clear()

    see = LookingAhead.see

    def seen(self: LookingAhead, events: Any, place: int, batch: EventBatch) -> None:
        before = batch.prepared
        see(self, events, place, batch)
        batch.prepared = batch.prepared or before

    patch.setattr(EventBatch, "forget", forget)
    patch.setattr(LookingAhead, "see", seen)


def _merges_are_not_told(patch: pytest.MonkeyPatch) -> None:
    expect = AheadTransaction.expect

    def deaf(self: AheadTransaction, expected: Any) -> Collection[Any]:
        return expect(self, expected) if expected.guids else ()

    patch.setattr(AheadTransaction, "expect", deaf)


def _owners_are_kept(patch: pytest.MonkeyPatch) -> None:
    class Kept(dict[Any, Any]):
        def clear(self) -> None:
            pass

    begin = Answers.__init__

    def began(self: Answers) -> None:
        begin(self)
        self.owners = Kept()

    patch.setattr(Answers, "__init__", began)


def _savepoints_do_not_settle(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(EventBatch, "savepoint", lambda self: self._batch.savepoint())
    patch.setattr(EventBatch, "connection", property(lambda self: self._batch.connection))


FAULTS: Final = {
    "what an event made is not seen by the next": (_patched(Answers, "forget_leading_to"), MADE),
    "who had a key before an event gave it": (_owners_are_kept, SHARING),
    "a summary stays as it was though an event loaded": (_patched(Answers, "loaded"), CHANGED_BACK),
    "a link is not seen by the next event": (_patched(Answers, "linked"), CROWDED),
    "what is prepared outlives its savepoint": (_kept_after_it_is_undone, UNDONE),
    "what was read is believed after a merge": (_merges_are_not_told, MERGED),
    "what is held back is written behind a merge": (_savepoints_do_not_settle, LINKED),
    "what is held back is never written": (_patched(AheadTransaction, "settle"), AGAIN),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(race_free_world: World, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    plant, crowd = FAULTS[fault]
    alone = play(race_free_world, crowd, OneByOne(race_free_world.importer))
    plant(monkeypatch)
    with suppress(Stuck):
        assert play(race_free_world, crowd, race_free_world.importer) != alone
