"""Find which row's old each new is: the join that everything else stands on, and most of a scan's cost.

One sort of packed 64-bit words does it: the high bits of a hash of the guid, the low bits the place it came from. Equal
guids end up side by side, olds before news. Hashes only bring candidates together: every match is verified on all 128
bits, and where two guids share their high hash bits the small group is sorted again by the guids themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from mergeguard.core import guids
from mergeguard.core.guids import Guids
from mergeguard.core.table import MergeTable

Rows: TypeAlias = npt.NDArray[np.int32]
Words: TypeAlias = npt.NDArray[np.uint64]
Places: TypeAlias = npt.NDArray[np.int64]

MAX_ROWS = 2**31 - 1
_CHUNK = 1 << 16  # a chunk's temporaries fit the second-level cache
_SORTED_CHUNK = 1 << 20
_MIX_1, _MIX_2, _MIX_3 = (np.uint64(word) for word in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xD6E8FEB86659FD93))
_HALF = np.uint64(32)


@dataclass(frozen=True, slots=True)
class Join:
    """Row numbers for guids.

    ``lead[r]`` is the first row with the same old as row ``r``; the leads stand for the olds. ``succ[r]`` is the lead
    of row ``r``'s new, or -1 where the new is no old. Both have one entry a row.
    """

    lead: Rows
    succ: Rows
    repeated: Rows
    """The rows that are not their own lead, ascending: all rows beyond the first of one old."""


def mix(column: Guids) -> Words:
    """Hash each guid of a column to 64 well-mixed bits."""
    words = guids.keys(column)
    mixed = np.empty(len(words), np.uint64)
    for at in range(0, len(words), _CHUNK):
        part = words[at : at + _CHUNK]
        value = part[:, 0] * _MIX_1
        value += part[:, 1] * _MIX_2
        value ^= value >> _HALF
        value *= _MIX_3
        value ^= value >> _HALF
        mixed[at : at + _CHUNK] = value
    return mixed


def join(table: MergeTable) -> Join:
    """Match the olds of a table with each other and with its news.

    Raises:
        ValueError: more than 2**31 - 1 rows.
    """
    rows = len(table)
    if rows > MAX_ROWS:
        raise ValueError(f"{rows} rows: at most {MAX_ROWS} fit")
    matches = match(table.old, table.new)
    lead = np.arange(rows, dtype=np.int32)
    succ = np.full(rows, -1, np.int32)
    for members, leads in matches:
        olds = members < rows
        lead[members[olds]] = leads[olds]
        succ[members[~olds] - rows] = leads[~olds]
    repeated = np.flatnonzero(lead != np.arange(rows, dtype=np.int32)).astype(np.int32)
    return Join(lead, succ, repeated)


def match(olds: Guids, news: Guids) -> list[tuple[Places, Places]]:
    """Return ``(members, leads)`` pieces: ``members[i]`` is the same guid as old number ``leads[i]``, the first such.

    Members are numbered through both columns, news behind olds; a guid that leads its group is not listed.
    """
    packed, bits = _packed(olds, news)
    pieces: list[tuple[Places, Places]] = []
    shift = np.uint64(bits)
    at = 0
    while at < len(packed):
        stop = _group_end(packed, min(at + _SORTED_CHUNK, len(packed)), shift)
        pieces.extend(_matches(packed[at:stop], bits, olds, news))
        at = stop
    return pieces


def positions(olds: Guids, wanted: Guids) -> Places:
    """Return for each wanted guid the first row of ``olds`` that holds it, or -1."""
    found = np.full(len(wanted), -1, np.int64)
    for members, leads in match(olds, wanted):
        news = members >= len(olds)
        found[members[news] - len(olds)] = leads[news]
    return found


def _packed(olds: Guids, news: Guids) -> tuple[Words, int]:
    """Sort (hash high bits | place) of both columns; the low ``bits`` bits are the place."""
    total = len(olds) + len(news)
    bits = max(1, int(total).bit_length())
    packed = np.empty(total, np.uint64)
    packed[: len(olds)] = mix(olds)
    packed[len(olds) :] = mix(news)
    low = np.uint64((1 << bits) - 1)
    for at in range(0, total, _CHUNK):
        part = packed[at : at + _CHUNK]
        part &= ~low
        part |= np.arange(at, at + len(part), dtype=np.uint64)
    packed.sort()
    return packed, bits


def _group_end(packed: Words, stop: int, shift: np.uint64) -> int:
    """Move ``stop`` on to the end of the group of equal hash bits that it would cut."""
    if stop >= len(packed):
        return len(packed)
    group = packed[stop - 1] >> shift
    return (
        int(np.searchsorted(packed, (group + np.uint64(1)) << shift)) if group != packed[-1] >> shift else len(packed)
    )


def _matches(packed: Words, bits: int, olds: Guids, news: Guids) -> list[tuple[Places, Places]]:
    """Match within one piece of the sorted words that holds whole groups."""
    place = (packed & np.uint64((1 << bits) - 1)).view(np.int64)
    hashes = packed >> np.uint64(bits)
    first = np.empty(len(packed), np.bool_)
    first[0] = True
    np.not_equal(hashes[1:], hashes[:-1], out=first[1:])
    follower = np.flatnonzero(~first)
    if not len(follower):
        return []
    starts = np.flatnonzero(first)
    start = starts[np.cumsum(first)[follower] - 1]
    # A group that begins with a new holds no old at all.
    useful = place[start] < len(olds)
    follower, start = follower[useful], start[useful]
    members, leads = place[follower], place[start]
    same = _equal(olds, news, members, leads)
    if same.all():
        return [(members, leads)] if len(members) else []
    crowded = np.unique(hashes[start[~same]])
    clean = ~np.isin(hashes[start], crowded)
    return [
        (members[clean], leads[clean]),
        _match_exactly(np.sort(place[np.isin(hashes, crowded)]), olds, news),
    ]


def _equal(olds: Guids, news: Guids, members: Places, leads: Places) -> npt.NDArray[np.bool_]:
    """Compare all 128 bits of each member with those of its lead."""
    same = np.empty(len(members), np.bool_)
    old_words, new_words = guids.keys(olds), guids.keys(news)
    is_new = members >= len(olds)
    of_new, of_old = np.flatnonzero(is_new), np.flatnonzero(~is_new)
    same[of_new] = (new_words[members[of_new] - len(olds)] == old_words[leads[of_new]]).all(axis=1)
    same[of_old] = (old_words[members[of_old]] == old_words[leads[of_old]]).all(axis=1)
    return same


def _match_exactly(places: Places, olds: Guids, news: Guids) -> tuple[Places, Places]:
    """Match a few places by their whole guids: for different guids that share the high bits of their hash."""
    column = np.concatenate((olds[places[places < len(olds)]], news[places[places >= len(olds)] - len(olds)]))
    words = guids.keys(np.ascontiguousarray(column))
    ranked = np.lexsort((places, words[:, 1], words[:, 0]))
    words, places = words[ranked], places[ranked]
    first = np.ones(len(places), np.bool_)
    first[1:] = (words[1:] != words[:-1]).any(axis=1)
    leads = places[np.flatnonzero(first)[np.cumsum(first) - 1]]
    wanted = ~first & (leads < len(olds))
    return places[wanted], leads[wanted]
