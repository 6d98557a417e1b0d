"""Turns what was decided about a component into what a plan holds: a step, or a refusal, with all its evidence."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from mergeguard.core.repair.component import Component, DamagedRow, LeftAlone
from mergeguard.core.repair.evidence import Confidence, Known, ReadFrom, Vote
from mergeguard.core.repair.plan import Action, Image, Refused, RowChange, Step
from mergeguard.storage.own_files.overrides import override_line

Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Named:
    """What a plan says about guids beside what was decided: names, where the evidence was read, if rows have ids."""

    known: Mapping[uuid.UUID, Known]
    labels: Mapping[uuid.UUID, str]
    """The texts of text ids."""
    read_from: ReadFrom
    row_ids: bool
    """Whether rows have ids of their own; numbers in the order of reading would differ from plan to plan."""

    def name(self, guid: uuid.UUID) -> str | None:
        """Return what people call a guid."""
        known = self.known.get(guid)
        return (known.name if known is not None else None) or self.labels.get(guid)


def step_of(
    component: Component, table: str, guard: Sequence[Image], retired: Mapping[int, Image], named: Named
) -> Step:
    """Make the step that retires a decided component's rows; ``retired`` gives the image of each row's number.

    Its changes stand in the order of the component's rows: that of what they say, and not of how they were read.
    """
    gone = frozenset(component.retire)
    numbers = [row.number for row in component.rows if row.number in gone]
    return Step(
        component=component.id,
        kinds=component.kinds,
        members=component.members,
        survivor=component.survivor,
        confidence=component.confidence or Confidence.ARBITRARY,
        why=component.why,
        changes=tuple(RowChange(Action.RETIRE, table, retired[number], None) for number in numbers),
        guard=tuple(guard),
        evidence=evidence_of(component, named),
        notes=component.notes,
    )


def refusal_of(component: Component, named: Named) -> Refused:
    """Make the entry of a component that the evidence does not decide."""
    first = next(iter(component.candidates), None)
    survivor = component.members[0] if first is None else first.guid
    return Refused(
        component=component.id,
        kinds=component.kinds,
        members=component.members,
        reason=component.refused or "",
        override_line=override_line(component.id, survivor),
        evidence=evidence_of(component, named),
    )


def evidence_of(component: Component, named: Named) -> Json:
    """Return votes, candidates and rows as JSON values, and where each kind of evidence was read."""
    mentioned = {guid for row in component.rows for guid in (row.ref.old, row.ref.new)}
    mentioned |= {known.guid for known in component.candidates}
    names = dict(sorted((str(guid), name) for guid in mentioned if (name := named.name(guid))))
    retired = frozenset(component.retire)
    return {
        "votes": [_vote(vote) for vote in component.votes],
        "candidates": [_candidate(known, named) for known in component.candidates],
        "read_from": _read_from(named.read_from),
        "rows": [_row(row, gone=row.number in retired, named=named) for row in component.rows],
        "names": names,
    }


def left_alone_of(found: LeftAlone) -> Json:
    """Return a kind of finding that no repair touches as JSON values."""
    return {"rule": found.rule, "count": int(found.count), "why": found.why}


def _vote(vote: Vote) -> Json:
    return {
        "evidence": vote.evidence.value,
        "kind": vote.evidence.name.lower().replace("_", " "),
        "strength": vote.strength.value,
        "survivor": str(vote.survivor),
        "why": vote.why,
        "read_from": vote.read_from,
    }


def _candidate(known: Known, named: Named) -> Json:
    facts = {
        "guid": str(known.guid),
        "name": named.name(known.guid),
        "live": known.live,
        "type": known.type,
        "keys": known.keys,
        "references": None if known.references is None else dict(sorted(known.references.items())),
        "last_contact": _time(known.last_contact),
        "owner": known.owner,
    }
    return _known(facts)


def _read_from(read: ReadFrom) -> Json:
    places = {
        "live": read.live,
        "types": read.types,
        "keys": read.keys,
        "references": list(read.references),
        "row_id": read.row_id,
        "time": read.time,
        "contact": read.contact,
        "owner": read.owner,
        "here": read.here,
    }
    return _known(places)


def _row(row: DamagedRow, *, gone: bool, named: Named) -> Json:
    facts = {
        "row_id": row.ref.row_id if named.row_ids else None,
        "old": str(row.ref.old),
        "new": str(row.ref.new),
        "time": _time(row.ref.time),
        "retired": gone,
    }
    return _known(facts)


def _known(facts: Json) -> Json:
    """Leave out what nobody knows."""
    return {name: value for name, value in facts.items() if value is not None}


def _time(value: dt.datetime | None) -> str | None:
    return None if value is None else value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
