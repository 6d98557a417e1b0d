"""Compare the stored lookup with the closure: what a rebuild has to write, and what the drift rule reports."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mergeguard.core import guids
from mergeguard.core.closure import STATUS_TEXTS
from mergeguard.core.columns import StoredLookup
from mergeguard.core.facts import Facts
from mergeguard.core.index import Places, Rows
from mergeguard.core.walk import mark

_CHUNK = 1 << 16
_UNKNOWN = 255


@dataclass(frozen=True, slots=True)
class Drift:
    """Where the stored lookup is wrong. ``leads[i]`` is the old that stored row ``places[i]`` answers differently."""

    leads: Rows
    places: Places
    missing: Rows
    """Leads without a stored row."""
    extra: Places
    """Stored rows for guids that are no old, and second rows for one old."""

    def __len__(self) -> int:
        return len(self.leads) + len(self.missing) + len(self.extra)


def compare(facts: Facts, stored: StoredLookup) -> Drift:
    """Hold every stored row against the closure."""
    lead = facts.join.olds.find(stored.olds)
    known = np.flatnonzero(lead >= 0)
    differs = _differs(facts, stored, lead[known], known)
    first = _first_of_each(lead[known], differs)
    places, wrong = known[first], differs[first]
    leads = lead[places]
    extra = np.flatnonzero(~mark(len(lead), places))
    missing = facts.leads[~mark(len(facts.table), leads)[facts.leads]]
    leads, places = leads[wrong], places[wrong]
    ranked = guids.order(np.ascontiguousarray(facts.table.old[leads]))
    ordered_extra = extra[guids.order(np.ascontiguousarray(stored.olds[extra]))]
    return Drift(leads[ranked], places[ranked], missing, ordered_extra)


def _first_of_each(leads: Rows, differs: guids.Bools) -> Places:
    """Return the place of one row for each lead.

    Of several rows for one old a right one counts, wherever it stands, so that their order does not matter.
    """
    ranked = np.argsort(2 * leads.astype(np.int64) + differs, kind="stable")
    fresh = np.ones(len(ranked), np.bool_)
    fresh[1:] = leads[ranked[1:]] != leads[ranked[:-1]]
    return ranked[fresh]


def _differs(facts: Facts, stored: StoredLookup, leads: Rows, places: Places) -> guids.Bools:
    """Say of each lead whether the row in its place is wrong; a chunk at a time, for it gathers 50 bytes a row."""
    codes = np.array([_code(name) for name in stored.status_names] or [_UNKNOWN], np.uint8)
    different = np.zeros(len(leads), np.bool_)
    for start in range(0, len(leads), _CHUNK):
        part = slice(start, start + _CHUNK)
        different[part] = _differ(facts, stored, codes, leads[part], places[part])
    return different


def _differ(
    facts: Facts, stored: StoredLookup, codes: npt.NDArray[np.uint8], leads: Rows, places: Places
) -> guids.Bools:
    currents, has = facts.closure.current(facts.table, leads)
    expected, found = guids.keys(currents), guids.keys(np.ascontiguousarray(stored.currents[places]))
    different: guids.Bools = codes[stored.statuses[places]] != facts.closure.status[leads]
    different |= stored.depths[places] != facts.closure.depth[leads]
    different |= stored.has_current[places] != has
    different |= has & (expected != found).any(axis=1)
    return different


def _code(name: str) -> int:
    return STATUS_TEXTS.index(name) if name in STATUS_TEXTS else _UNKNOWN
