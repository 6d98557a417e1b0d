"""Explain one guid: where it leads and why, in words, as a path and as a picture."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import numpy as np

from mergeguard.core import guids
from mergeguard.core.closure import STATUS_TEXTS, Status
from mergeguard.core.facts import Facts
from mergeguard.core.findings import MAX_WITNESS, Explanation
from mergeguard.core.guids import TOMBSTONE
from mergeguard.core.pictures import neighbourhood
from mergeguard.core.rings import Ring
from mergeguard.core.witness import longest_walk, shortest_cycle
from mergeguard.errors import GuidNotFound, UsageError
from mergeguard.integrity.reading import read_facts
from mergeguard.storage.profile import Profile
from mergeguard.storage.source import Progress, Source, silent

MAX_NAMED = 6
"""How many guids of a cycle a sentence names."""


def as_guid(asked: str, profile: Profile) -> uuid.UUID:
    """Read a guid as the user spells it; with ``ids = "text"`` any text is one.

    Raises:
        UsageError: it is no guid.
    """
    guid = guids.parse(asked)
    if guid is not None:
        return guid
    if profile.merge.ids == "text" and asked.strip():
        return guids.text_id(asked.strip())
    raise UsageError(f"{asked!r} is no guid", hint="give 32 hex digits in any usual spelling; or --ids text")


def explain_source(source: Source, profile: Profile, asked: str, *, progress: Progress = silent) -> Explanation:
    """Tell the story of one guid of an open target.

    Raises:
        GuidNotFound: no row holds it.
        UsageError: it is no guid.
        CannotCheck: the target could not be read.
    """
    guid = as_guid(asked, profile)
    with source.snapshot() as snapshot:
        facts = read_facts(snapshot, profile, progress, needs=()).facts
    return explain(facts, guid, target=source.info.target)


def explain(facts: Facts, guid: uuid.UUID, *, target: str = "") -> Explanation:
    """Tell the story of one guid."""
    wanted = guids.from_uuids([guid])
    lead = int(facts.join.olds.find(wanted)[0])
    if lead >= 0:
        return _merged(facts, guid, lead, target)
    rows = np.flatnonzero((guids.keys(facts.table.new) == guids.keys(wanted)).all(axis=1))
    if not len(rows):
        raise GuidNotFound(
            f"{guid} stands in no row of the merge table",
            hint="such a guid is its own current; check the spelling, or --ids text for ids that are not guids",
        )
    return _terminal(facts, guid, facts.by_guid(rows.astype(np.int32)).tolist(), target)


def _name(facts: Facts, guid: uuid.UUID) -> str:
    return "deleted" if guid == TOMBSTONE else facts.table.labels.get(guid, str(guid))


def _terminal(facts: Facts, guid: uuid.UUID, rows: Sequence[int], target: str) -> Explanation:
    """Tell of a guid that only others are merged into."""
    name = _name(facts, guid)
    gone = guid == TOMBSTONE
    dead = not gone and facts.liveness is not None and not facts.liveness.new[rows[0]]
    words = [f"No row merges {name} away: it is its own current guid."]
    if gone:
        words = ["This is the tombstone: what the profile calls deleted."]
    elif dead:
        words.append("But it is not live: whatever leads to it is dangling.")
    words.append(f"{len(rows)} row{'s merge' if len(rows) > 1 else ' merges'} other guids into it.")
    leads = [int(facts.join.lead[row]) for row in rows]
    drawn = neighbourhood(facts, leads, focus=guid)
    return Explanation(
        guid,
        name,
        (Status.DELETED if gone else Status.DANGLING if dead else Status.OK).text,
        None if gone else guid,
        None if gone else 0,
        tuple(words),
        (guid,),
        tuple(facts.row(row) for row in rows[:MAX_WITNESS]),
        drawn,
        facts.table.labels and {node.guid: node.label for node in drawn.nodes},
        target,
    )


def _merged(facts: Facts, guid: uuid.UUID, lead: int, target: str) -> Explanation:
    """Tell of a guid that a row merges away."""
    status = Status(int(facts.closure.status[lead]))
    currents, has = facts.closure.current(facts.table, np.array([lead], np.int32))
    current = guids.to_uuid(currents, 0) if has[0] else None
    depth = int(facts.closure.depth[lead])
    ring = _ring_of(facts, lead)
    rows = _walk(facts, lead, status)
    path = [facts.old(row) for row in rows] + [facts.new(rows[-1])] if rows else [guid]
    drawn = neighbourhood(facts, [lead, *(int(facts.join.lead[row]) for row in rows)], focus=guid)
    return Explanation(
        guid,
        _name(facts, guid),
        STATUS_TEXTS[status],
        current,
        depth if depth >= 0 else None,
        tuple(_story(facts, lead, status, current, ring)),
        tuple(path),
        tuple(facts.row(row) for row in rows),
        drawn,
        facts.table.labels and {node.guid: node.label for node in drawn.nodes},
        target,
    )


def _ring_of(facts: Facts, lead: int) -> Ring | None:
    """Return the cycle that the guid lies on."""
    return next((ring for ring in facts.raw.rings if lead in ring.members), None)


def _walk(facts: Facts, lead: int, status: Status) -> list[int]:
    """Return the rows to show: to the current guid, or up to and once around a cycle, or to the fork."""
    if status is not Status.CYCLE:
        return longest_walk(facts, lead, MAX_WITNESS)
    rows: list[int] = []
    seen: set[int] = set()
    at = lead
    while at >= 0 and at not in seen and len(rows) < MAX_WITNESS:
        seen.add(at)
        row = _towards_loop(facts, at)
        rows.append(row)
        at = int(facts.join.succ[row])
    return rows


def _towards_loop(facts: Facts, lead: int) -> int:
    """Choose, where the way forks, a row whose walk never ends."""
    ways = list(facts.ways(lead))
    looping = [
        row for row in ways if facts.join.succ[row] >= 0 and facts.closure.status[facts.join.succ[row]] == Status.CYCLE
    ]
    return (looping or ways)[0]


def _story(facts: Facts, lead: int, status: Status, current: uuid.UUID | None, ring: Ring | None) -> list[str]:
    name = _name(facts, facts.old(lead))
    words = [_rows_in_words(facts, lead)]
    if facts.liveness is not None and facts.liveness.old[lead]:
        words.append(f"But {name} is live, so it is its own current guid: the merge is unfinished, or it came back.")
    elif status is Status.OK and current is not None:
        depth = int(facts.closure.depth[lead])
        words.append(f"It is now {_name(facts, current)}, {depth} merge{'s' if depth > 1 else ''} away.")
    elif status is Status.DANGLING and current is not None:
        words.append(f"It leads to {_name(facts, current)}, which is not live.")
    elif status is Status.DELETED:
        words.append("It was deleted and has no successor.")
    elif status is Status.SPLIT:
        words.append("The rows lead to two guids or more, so nobody can say which one it is now.")
    if status is Status.CYCLE or ring is not None:
        words.append(_loop_in_words(facts, lead, ring))
    return words


def _rows_in_words(facts: Facts, lead: int) -> str:
    name, rows = _name(facts, facts.old(lead)), facts.rows_of(lead)
    told = []
    for row in rows[:5]:
        when = facts.table.time(row)
        told.append(
            f"row {facts.table.row_id(row)} merges it into {_name(facts, facts.new(row))}"
            + (f" ({when:%Y-%m-%d %H:%M})" if when else "")
        )
    more = f", and {len(rows) - 5} more rows" if len(rows) > 5 else ""
    return f"{name}: {'; '.join(told)}{more}."


def _loop_in_words(facts: Facts, lead: int, ring: Ring | None) -> str:
    if facts.self_merges[facts.rows_of(lead)].any() and ring is None:
        return "One of its rows merges it into itself: whoever follows it never arrives."
    if ring is None:
        return "From there the rows lead into a cycle: whoever follows them never arrives; there is no current guid."
    rows = shortest_cycle(facts, ring)
    names = [_name(facts, facts.old(row)) for row in rows]
    left_out = [f"{len(names) - MAX_NAMED} more"] if len(names) > MAX_NAMED else []
    shown = " -> ".join([*names[:MAX_NAMED], *left_out, names[0]])
    size = len(ring.members)
    where = (
        f"It lies on a cycle of {size} guids"
        if len(rows) == size
        else f"It is one of {size} guids on cycles, the shortest of them"
    )
    others = ring.down - size
    tail = f" {others} more guid{'s lead' if others > 1 else ' leads'} into it." if others else ""
    return f"{where}: {shown}. Whoever follows it never arrives.{tail}"
