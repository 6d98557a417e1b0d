"""Faults planted into the workers, each of which a named check must find: a check that finds none checks nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
from processor.fake_store import FakeBatch, FakeStore

from mergeguard.core.events import Claim, Event, Failure, Lease, Parking, Ran
from mergeguard.processor import batch_run, failures, worker
from mergeguard.processor.backup import FailureBackup
from mergeguard.processor.batch_run import BatchRun, Step
from mergeguard.processor.event_bodies import EventBodies
from mergeguard.processor.failures import Verdict
from mergeguard.processor.handlers import EventBatch
from mergeguard.processor.waking import Waking
from mergeguard.processor.worker import Care, Handled, Worker
from mergeguard.storage.queue.store import DeadEvent

Plant = Callable[[pytest.MonkeyPatch], None]
STEP = dt.timedelta(milliseconds=100)


def _ack_before_commit(patch: pytest.MonkeyPatch) -> None:
    run = BatchRun.run

    def removing(self: BatchRun) -> Sequence[Ran]:
        ran = run(self)
        for one in ran:
            for event in one.lease.events[: one.done]:
                self._work.body.args[0].queue_folder.joinpath(event.file or "none").unlink(missing_ok=True)  # type: ignore[attr-defined]
        return ran

    patch.setattr(BatchRun, "run", removing)


def _done_in_another_transaction(patch: pytest.MonkeyPatch) -> None:
    committed = Worker._committed

    def twice(self: Worker, claim: Claim, care: Care) -> tuple[Sequence[Ran], bool]:
        kept: list[Sequence[Ran]] = []
        finish = FakeBatch.finish

        def later(batch: FakeBatch, ran: Sequence[Ran]) -> None:
            kept.append(ran)
            finish(batch, [])

        with pytest.MonkeyPatch.context() as inside:
            inside.setattr(FakeBatch, "finish", later)
            committed(self, claim, care)
        with self._store.batch(claim) as batch:
            batch.finish(kept[0])
        return kept[0], False

    patch.setattr(Worker, "_committed", twice)


def _release_before_commit(patch: pytest.MonkeyPatch) -> None:
    handle = Worker.handle

    def early(self: Worker, claim: Claim) -> Handled:
        with suppress(Exception):
            self._store.release(claim)
        return handle(self, claim)

    patch.setattr(Worker, "handle", early)


def _no_fencing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(FakeStore, "fence", lambda *_args: None)


def _successors_go_on(patch: pytest.MonkeyPatch) -> None:
    """Later events of a failed one's chain are handled in the same batch."""

    def fail(self: BatchRun, step: Step, error: BaseException) -> None:
        self._failed.setdefault(step.lease, self._work.failure(step.event, error))

    patch.setattr(BatchRun, "_fail", fail)


def _neighbours_lose(patch: pytest.MonkeyPatch) -> None:
    """What ran before a failed event in its segment counts as done although it was undone."""

    def again(self: BatchRun, steps: list[Step]) -> None:
        for step in steps:
            self._done[step.lease] += 1

    patch.setattr(BatchRun, "_again", again)


def _no_savepoint(patch: pytest.MonkeyPatch) -> None:
    """A failed try leaves what it wrote."""

    @contextmanager
    def nothing(_batch: FakeBatch) -> Iterator[None]:
        yield

    patch.setattr(FakeBatch, "savepoint", nothing)


def _outage_burns_a_try(patch: pytest.MonkeyPatch) -> None:
    def burnt(error: BaseException) -> Verdict:
        verdict = failures.verdict_of_handler(error)
        return Verdict.FAILED if verdict in (Verdict.OUTAGE, Verdict.CLASH) else verdict

    patch.setattr(batch_run, "verdict_of_handler", burnt)


def _refused_commit_burns_a_try(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(worker, "verdict_of_commit", lambda _error: Verdict.FAILED)


def _first_suspect_is_charged(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(batch_run, "is_of_the_database", lambda _error: False)


def _delays_do_not_grow(patch: pytest.MonkeyPatch) -> None:
    failure_of = worker.failure_of

    def flat(event: Event, error: BaseException, *, limit: int, step: dt.timedelta) -> Failure:
        failure = failure_of(event, error, limit=limit, step=step)
        return failure if failure.retry_after is None else replace(failure, retry_after=step)

    patch.setattr(worker, "failure_of", flat)


def _limit(patch: pytest.MonkeyPatch, other: Callable[[int], int]) -> None:
    failure_of = worker.failure_of

    def changed(event: Event, error: BaseException, *, limit: int, step: dt.timedelta) -> Failure:
        return failure_of(event, error, limit=other(limit), step=step)

    patch.setattr(worker, "failure_of", changed)


def _one_retry_less(patch: pytest.MonkeyPatch) -> None:
    _limit(patch, lambda limit: limit - 1)


def _malformed_is_retried(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(failures, "_AT_ONCE", {})


def _poison_is_retried_for_ever(patch: pytest.MonkeyPatch) -> None:
    _limit(patch, lambda _limit: 10**6)


def _retried_at_the_tail(patch: pytest.MonkeyPatch) -> None:
    """A failed event counts as done and the next one of its chain goes on."""

    def run(self: BatchRun) -> Sequence[Ran]:
        return [
            replace(one, done=one.done + 1, failure=None)
            if one.failure is not None and one.failure.retry_after is not None
            else one
            for one in honest(self)
        ]

    honest = BatchRun.run
    patch.setattr(BatchRun, "run", run)


def _dropped_before_written(patch: pytest.MonkeyPatch) -> None:
    moved = FailureBackup._moved

    def hasty(self: FailureBackup, dead: DeadEvent, folder: Any) -> bool:
        self._store.drop(dead.event.id)
        return moved(self, dead, folder)

    patch.setattr(FailureBackup, "_moved", hasty)


def _effects_outside_the_transaction(patch: pytest.MonkeyPatch) -> None:
    def add(self: EventBatch, _statement: str, row: Sequence[Any] = ()) -> None:
        self._batch.store.effects.append(tuple(row))  # type: ignore[attr-defined]

    patch.setattr(EventBatch, "add", add)


def _bad_statement_is_nobodys(patch: pytest.MonkeyPatch) -> None:
    """A commit that is refused is taken for an outage, whatever refused it."""
    honest = worker.verdict_of_commit

    def outage(error: BaseException) -> Verdict:
        verdict = honest(error)
        return Verdict.OUTAGE if verdict is Verdict.FAILED else verdict

    patch.setattr(worker, "verdict_of_commit", outage)


def _lost_body_is_empty(patch: pytest.MonkeyPatch) -> None:
    read = EventBodies.read

    def forgiving(self: EventBodies, event: Event) -> bytes:
        try:
            return read(self, event)
        except failures.LostBody:
            return b""

    patch.setattr(EventBodies, "read", forgiving)


def _effects_outside_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(EventBatch, "make_effects", lambda _self: iter(()))


def _unknown_commit_is_a_commit(patch: pytest.MonkeyPatch) -> None:
    """The connection is lost at the commit, and the worker goes on as if it had been made."""
    handle = Worker.handle

    def hopeful(self: Worker, claim: Claim) -> Handled:
        handled = handle(self, claim)
        if handled.verdict is Verdict.OUTAGE:
            for lease in claim.leases:
                for event in lease.events:
                    self._bodies.remove(event)
        return handled

    patch.setattr(Worker, "handle", hopeful)


def _parking_burns_a_try(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Worker, "_parking", lambda _self, event, error: failures.failure_of(event, error, limit=9, step=STEP))


def _parked_is_done(patch: pytest.MonkeyPatch) -> None:
    """What is parked leaves its line."""
    honest = batch_run.ran_of

    def ran_of(lease: Lease, done: int, ended: Failure | Parking | None) -> Ran:
        return Ran(lease, done + 1) if isinstance(ended, Parking) else honest(lease, done, ended)

    patch.setattr(batch_run, "ran_of", ran_of)


def _nobody_wakes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Waking, "_mended", lambda _self, _parked: [])


MUTANTS: Mapping[str, tuple[Plant, set[str]]] = {
    "payload removed before the commit": (_ack_before_commit, {"no_loss"}),
    "payload removed after an unknown commit": (_unknown_commit_is_a_commit, {"no_loss"}),
    "done marked in another transaction": (_done_in_another_transaction, {"effect_once"}),
    "released before the commit": (_release_before_commit, {"eventually"}),
    "no fencing": (_no_fencing, {"no_overlap"}),
    "successors of a failed event go on": (_successors_go_on, {"order", "effect_once", "retry", "outage"}),
    "neighbours of a failed event lose their effects": (_neighbours_lose, {"effect_once"}),
    "no savepoint": (_no_savepoint, {"effect_once"}),
    "an outage burns a try": (_outage_burns_a_try, {"outage"}),
    "a refused commit burns a try": (_refused_commit_burns_a_try, {"outage", "order", "effect_once"}),
    "the first suspect is charged": (_first_suspect_is_charged, {"outage"}),
    "retry delays do not grow": (_delays_do_not_grow, {"retry"}),
    "one retry less": (_one_retry_less, {"retry"}),
    "malformed events are retried": (_malformed_is_retried, {"retry"}),
    "poison is retried for ever": (_poison_is_retried_for_ever, {"retry"}),
    "retried at the tail": (_retried_at_the_tail, {"effect_once", "retry"}),
    "backup dropped before it is written": (_dropped_before_written, {"no_loss"}),
    "effects outside the transaction": (_effects_outside_the_transaction, {"effect_once"}),
    "a bad statement is nobody's": (_bad_statement_is_nobodys, {"eventually"}),
    "a lost body is an empty one": (_lost_body_is_empty, {"no_loss"}),
    "parking burns a try": (_parking_burns_a_try, {"outage"}),
    "what is parked is done": (_parked_is_done, {"effect_once"}),
    "nobody wakes what is parked": (_nobody_wakes, {"eventually"}),
    "effects outside are forgotten": (_effects_outside_are_forgotten, {"effect_once"}),
}
