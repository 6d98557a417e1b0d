"""Weighs every column of guids as a reference to a resource: by its name, its declared key, and what stands in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mergeguard.integrity import naming
from mergeguard.integrity.candidates import Identity, Weighed
from mergeguard.integrity.sampling import ColumnSample, GuidSet, TableSample
from mergeguard.storage.profile import Reference


@dataclass(frozen=True, slots=True)
class ReferenceCandidate:
    """A column that seems to hold resource guids: ``found`` of ``sampled`` values are known resources or merges."""

    reference: Reference
    type: str
    sampled: int
    found: int
    merged: int
    """How many of the sampled values were merged away and are not live: stale already."""
    proposed: bool
    """Whether it stands in the proposed profile."""
    reasons: tuple[str, ...]


def reference_candidates(
    tables: Sequence[TableSample], weighed: Weighed, live: Identity | None, shown: Sequence[Identity]
) -> Iterator[ReferenceCandidate]:
    """Yield each guid column that may refer to resources, those of the merges and of ``shown`` left out.

    ``shown`` are the tables that the profile names for what is live and of which type; what stands in them, or in a
    merge, is a known resource.
    """
    resources = [GuidSet(weighed.olds, weighed.terminals), *(identity.members for identity in shown)]
    olds, alive = GuidSet(weighed.olds), GuidSet() if live is None else live.members
    taken = {(identity.table.name, identity.column.name) for identity in shown}
    for table in tables:
        for column in table.guid_columns:
            if table is weighed.pair.table or (table.name, column.name) in taken:
                continue
            held = np.logical_or.reduce([known.holds(column.guids) for known in resources])
            merged = olds.holds(column.guids) & ~alive.holds(column.guids)
            candidate = _candidate(table, column, int(held.sum()), int(merged.sum()), shown)
            if candidate is not None:
                yield candidate


def _candidate(
    table: TableSample, column: ColumnSample, found: int, merged: int, shown: Sequence[Identity]
) -> ReferenceCandidate | None:
    """Decide on one column; ``None`` where nothing speaks for it."""
    targets = {(one.table.name.lower(), one.column.name.lower()) for one in shown}
    declared = any(
        key.column == column.name and (key.table.lower(), key.target.lower()) in targets for key in table.foreign_keys
    )
    named = _named_like_a_reference(table, column)
    sampled = len(column.guids)
    if not (declared or named or found):
        return None
    reasons = [f"its type is {column.type}"]
    if named:
        reasons.append("its name says so")
    if declared:
        reasons.append("it is declared as a foreign key to a table of resources")
    if sampled:
        reasons.append(f"{found} of {sampled} sampled values are known resources or merged ones")
    else:
        reasons.append("there was nothing to sample")
    if naming.view_like(table.name):
        reasons.append("not proposed: it looks like a view, whose table is counted already")
    proposed = not naming.view_like(table.name) and (declared or (found >= sampled / 2 if sampled else named))
    reference = Reference(table.name, column.name)
    return ReferenceCandidate(reference, column.type, sampled, found, merged, proposed, tuple(reasons))


def _named_like_a_reference(table: TableSample, column: ColumnSample) -> bool:
    """Say whether the name alone claims a reference: ``...ResourceGuid``, or any guid of a data class but its own."""
    if naming.resource_reference(column.name):
        return True
    plain = naming.guid_column(column.name) and not naming.bare(column.name)
    return naming.data_class(table.name) and plain and not naming.type_column(column.name)
