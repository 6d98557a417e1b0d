"""Where every old leads: current guid, depth and status of all rows, in time linear in the rows (times log depth).

Olds with one new form a functional graph, walked by ``walk.arrive``. The few olds with several news are stops on those
walks; ``branches`` settles them on a contracted graph. So a chain of a million rows costs twenty rounds and no
recursion, and a cycle that exists only through a row that loses a conflict is found as well.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mergeguard.core import guids
from mergeguard.core.branches import Branch, Exit, settle
from mergeguard.core.guids import TOMBSTONE, Bools, Guids
from mergeguard.core.index import Rows
from mergeguard.core.join import Join
from mergeguard.core.rings import Ring, Weights, count_falls, find_rings
from mergeguard.core.table import MergeTable
from mergeguard.core.walk import Arrival, arrive, mark

_CHUNK = 1 << 16


class Status(enum.IntEnum):
    """What becomes of an old; the names are those of the lookup table."""

    OK = 0
    CYCLE = 1
    SPLIT = 2
    DANGLING = 3
    DELETED = 4

    @property
    def text(self) -> str:
        """The status as the lookup table spells it."""
        return self.name.lower()


STATUS_TEXTS = tuple(status.text for status in Status)


@dataclass(frozen=True, slots=True)
class Closure:
    """The answer for every row; a row that is not its old's lead has the lead's answer.

    ``end`` is a row: the current guid is that row's new, or its old where ``live`` is set for that row. It is -1 for
    ``SPLIT`` and meaningless for ``CYCLE``. ``depth`` is -1 where there is no current guid.
    """

    status: npt.NDArray[np.uint8]
    end: Rows
    depth: Rows
    live: Bools | None
    """For each row whether its old is live (and so its own current); ``None`` where no liveness counts."""
    branches: Mapping[int, Branch]
    """By lead: the olds with two distinct news or more."""
    rings: Sequence[Ring]
    """All cycles of two guids or more, self-merges not among them."""

    def current(self, table: MergeTable, rows: Rows) -> tuple[Guids, Bools]:
        """Return the current guids of some rows, and for which of them there is one (zeros elsewhere)."""
        has: Bools = self.depth[rows] >= 0
        column = np.zeros((len(rows), 16), np.uint8)
        # As one value of 16 bytes each: NumPy picks those six times faster than rows of a matrix.
        olds, news, out = (guids_.view("V16")[:, 0] for guids_ in (table.old, table.new, column))
        for at in range(0, len(rows), _CHUNK):
            known = at + np.flatnonzero(has[at : at + _CHUNK])
            ends = self.end[rows[known]].astype(np.intp)
            found = news[ends]
            if self.live is not None:
                own = self.live[ends]
                found[own] = olds[ends[own]]
            out[known] = found
        return column, has


def leads(join: Join) -> Rows:
    """Return the rows that stand for the distinct olds, ascending."""
    if not len(join.repeated):
        return np.arange(len(join.lead), dtype=np.int32)
    keep = np.ones(len(join.lead), np.bool_)
    keep[join.repeated] = False
    return np.flatnonzero(keep).astype(np.int32)


@dataclass(frozen=True, slots=True)
class Liveness:
    """For each row whether its old and its new are live."""

    old: Bools
    new: Bools


def close(
    table: MergeTable, join: Join, liveness: Liveness | None = None, *, weights: Weights | None = None
) -> Closure:
    """Follow every old to its end.

    Without ``liveness`` no guid counts as live and no terminal as dangling. ``weights`` (one a row, counted at the
    leads) are summed up along with the olds that lead into a cycle or a conflict.
    """
    live_old = None if liveness is None else liveness.old
    exits = _conflict_rows(table, join)
    stops = np.flatnonzero(mark(len(table), join.lead[exits])).astype(np.int32)
    if live_old is not None:
        exits = exits[~live_old[join.lead[exits]]]
        stops = stops[~live_old[stops]]
    step = join.succ.copy()
    step[stops] = -1
    step[join.repeated] = -1
    if live_old is not None:
        step[live_old] = -1
    arrival = arrive(step)
    branches = _branches(table, join, arrival, exits, stops, live_old)
    components = settle(branches)
    count_falls(arrival, branches, weights)
    found = find_rings(step, join, arrival, branches, components, weights)
    status, end, depth = _settled(table, arrival, branches, stops, liveness)
    for values in (status, end, depth):
        values[join.repeated] = values[join.lead[join.repeated]]
    return Closure(status, end, depth, live_old, branches, found)


def _conflict_rows(table: MergeTable, join: Join) -> Rows:
    """Return one row for each distinct new of each old that has two distinct news or more."""
    firsts = np.flatnonzero(mark(len(table), join.lead[join.repeated])).astype(np.int32)
    rows = np.concatenate((firsts, join.repeated))
    lead, news = join.lead[rows], guids.keys(table.new[rows])
    ranked = np.lexsort((rows, news[:, 1], news[:, 0], lead))
    rows, lead, news = rows[ranked], lead[ranked], news[ranked]
    distinct = np.ones(len(rows), np.bool_)
    distinct[1:] = (lead[1:] != lead[:-1]) | (news[1:] != news[:-1]).any(axis=1)
    rows, lead = rows[distinct], lead[distinct]
    _, inverse, counts = np.unique(lead, return_inverse=True, return_counts=True)
    return rows[counts[inverse] > 1].astype(np.int32)


def _branches(
    table: MergeTable, join: Join, arrival: Arrival, exits: Rows, stops: Rows, live: Bools | None
) -> dict[int, Branch]:
    """Contract the walks between conflicting olds."""
    after = join.succ[exits]
    end = np.where(after >= 0, arrival.end[after], exits)
    hops = np.where(after >= 0, arrival.hops[after], 0)
    loops = (after >= 0) & (hops < 0)
    own = np.zeros(len(exits), np.bool_) if live is None else (after >= 0) & live[end]
    joins = (after >= 0) & ~loops & ~own & mark(len(join.lead), stops)[end]
    weight = np.where(joins | own, hops + 1, np.where(after >= 0, hops + 2, 1))
    terminal = _terminals(table, end, own)
    found: dict[int, list[Exit]] = {int(lead): [] for lead in stops}
    columns = (exits, join.lead[exits], end, weight, terminal, loops, joins)
    for row, lead, at, far, to, looping, joining in zip(*(column.tolist() for column in columns), strict=True):
        if looping:
            way = Exit(row, 0, ring=at)
        elif joining:
            way = Exit(row, far, branch=at)
        else:
            way = Exit(row, far, terminal=to, end=at)
        found[lead].append(way)
    return {lead: Branch(lead, ways) for lead, ways in found.items()}


def _terminals(table: MergeTable, end: Rows, own: Bools) -> npt.NDArray[np.intp]:
    """Number the guids that walks end at: equal guids, equal numbers."""
    column = table.new[end]
    column[own] = table.old[end[own]]
    _, number = np.unique(column.view("V16").reshape(-1), return_inverse=True)
    return number


def _settled(
    table: MergeTable,
    arrival: Arrival,
    branches: Mapping[int, Branch],
    stops: Rows,
    liveness: Liveness | None,
) -> tuple[npt.NDArray[np.uint8], Rows, Rows]:
    """Turn arrivals into status, end row and depth, branches filled in."""
    end, depth = arrival.end, arrival.hops
    status = np.zeros(len(end), np.uint8)
    status[arrival.looping] = Status.CYCLE
    walked = depth >= 0
    if liveness is not None:
        walked &= ~liveness.old[end]
    # The row walked to is the last merge of the walk, unless its old is live and is the end itself.
    depth[walked] += 1
    if len(stops):
        _fill_branches(status, end, depth, branches, stops)
    ended = status == Status.OK
    terminal = ended if liveness is None else ended & ~liveness.old[end]
    if liveness is not None:
        status[terminal & ~liveness.new[end]] = Status.DANGLING
    gone = tombstones(table)
    if len(gone):
        deleted = terminal & mark(len(end), gone)[end]
        status[deleted] = Status.DELETED
        depth[deleted] = -1
    return status, end, depth


def tombstones(table: MergeTable) -> Rows:
    """Return the rows whose new is the tombstone, ascending."""
    wanted = guids.keys(guids.from_uuids([TOMBSTONE]))[0]
    words = guids.keys(table.new)
    near = np.flatnonzero(words[:, 0] == wanted[0])
    found: Rows = near[words[near, 1] == wanted[1]].astype(np.int32)
    return found


def _fill_branches(
    status: npt.NDArray[np.uint8], end: Rows, depth: Rows, branches: Mapping[int, Branch], stops: Rows
) -> None:
    """Give every row whose walk stops at a conflicting old that old's answer."""
    settled = [branches[int(lead)] for lead in stops]
    codes = [Status.CYCLE if b.loops else Status.OK if b.current else Status.SPLIT for b in settled]
    stopped = np.flatnonzero((depth >= 0) & mark(len(end), stops)[end])
    at = np.searchsorted(stops, end[stopped])
    status[stopped] = np.array(codes, np.uint8)[at]
    far = np.array([b.depth for b in settled], np.int32)[at]
    end[stopped] = np.array([b.end if b.current else -1 for b in settled], np.int32)[at]
    # ``depth`` already counts one merge out of the stop, which ``far`` counts too.
    depth[stopped] = np.where(status[stopped] == Status.OK, depth[stopped] - 1 + far, -1)
