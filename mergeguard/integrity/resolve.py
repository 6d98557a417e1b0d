"""Resolve guids in bulk: what is each of them now?"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from mergeguard.core import guids
from mergeguard.core.closure import STATUS_TEXTS, Status
from mergeguard.core.facts import Facts
from mergeguard.core.guids import TOMBSTONE, Guids
from mergeguard.core.index import GuidIndex
from mergeguard.integrity.reading import read_facts
from mergeguard.storage.profile import Profile
from mergeguard.storage.source import Progress, Source, silent

MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class Resolved:
    """One answer. ``guid`` is ``None`` for a text that is no guid, ``current`` and ``depth`` where there is none."""

    asked: str
    guid: uuid.UUID | None
    current: uuid.UUID | None
    depth: int | None
    status: str

    @property
    def settled(self) -> bool:
        """Whether the answer can be acted on: the guid has a current one, or is known to be deleted."""
        return self.status in {Status.OK.text, Status.DELETED.text}


def resolve_source(
    source: Source, profile: Profile, asked: Iterable[str], *, progress: Progress = silent
) -> list[Resolved]:
    """Resolve guids against an open target, one answer each, in order.

    Raises:
        CannotCheck: the target could not be read.
    """
    texts = list(asked)
    with source.snapshot() as snapshot:
        facts = read_facts(snapshot, profile, progress, needs=()).facts
    return resolve(facts, texts, text_ids=profile.merge.ids == "text")


def resolve(facts: Facts, asked: Iterable[str], *, text_ids: bool = False) -> list[Resolved]:
    """Resolve guids in any spelling; a guid that no row merges away is its own current."""
    texts = list(asked)
    found = [_parse(text, text_ids=text_ids) for text in texts]
    wanted = guids.from_uuids([guid for guid in found if guid is not None])
    answers = iter(_answers(facts, wanted))
    return [
        Resolved(text, None, None, None, MALFORMED) if guid is None else Resolved(text, guid, *next(answers))
        for text, guid in zip(texts, found, strict=True)
    ]


def _parse(text: str, *, text_ids: bool) -> uuid.UUID | None:
    guid = guids.parse(text)
    return guids.text_id(text.strip()) if guid is None and text_ids and text.strip() else guid


def _answers(facts: Facts, wanted: Guids) -> list[tuple[uuid.UUID | None, int | None, str]]:
    leads = facts.join.olds.find(wanted)
    known = np.flatnonzero(leads >= 0)
    rows = leads[known].astype(np.int32)
    currents, has = facts.closure.current(facts.table, rows)
    own = _own_statuses(facts, wanted)
    answers: list[tuple[uuid.UUID | None, int | None, str]] = [
        (None if status is Status.DELETED else guid, None if status is Status.DELETED else 0, status.text)
        for guid, status in zip(guids.to_uuids(wanted), own, strict=True)
    ]
    columns = (known, has, facts.closure.depth[rows], facts.closure.status[rows])
    for at, (place, exists, depth, status) in enumerate(zip(*(c.tolist() for c in columns), strict=True)):
        current = guids.to_uuid(currents, at) if exists else None
        answers[place] = (current, depth if exists else None, STATUS_TEXTS[status])
    return answers


def _own_statuses(facts: Facts, wanted: Guids) -> list[Status]:
    """Return the status that each guid has as its own current."""
    live = facts.declared.live
    nobody = np.zeros(len(wanted), np.bool_)
    dead = nobody if live is None else GuidIndex(live).find(wanted) < 0
    gone = (guids.keys(wanted) == guids.keys(guids.from_uuids([TOMBSTONE]))).all(axis=1)
    return [
        Status.DELETED if deleted else Status.DANGLING if missing else Status.OK
        for deleted, missing in zip(gone.tolist(), dead.tolist(), strict=True)
    ]
