"""A merge between guids of two types.

Both sides of a merge must be of one resource type; where they are not, data of one type is re-pointed to a resource of
another. Rows whose old or new has no known type, or two of them, are passed over; rows that say the same are one
finding.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from mergeguard.core.columns import TypeTable
from mergeguard.core.facts import Facts
from mergeguard.core.findings import Finding, fingerprint
from mergeguard.core.guids import Guids
from mergeguard.core.index import GuidIndex, Rows
from mergeguard.core.rule import Rule, Verdict

Codes = npt.NDArray[np.int32]


def check(facts: Facts, rule: Rule) -> Verdict:
    """Find every merge whose old and new have different known types."""
    types = facts.declared.types
    if types is None:
        return Verdict()
    known = GuidIndex(types.guids)
    old, new = _codes(types, known, facts.table.old), _codes(types, known, facts.table.new)
    rows = facts.distinct(np.flatnonzero((old >= 0) & (new >= 0) & (old != new)).astype(np.int32))
    return Verdict(len(rows), _findings(facts, rule, rows, types, old, new))


def _codes(types: TypeTable, known: GuidIndex, column: Guids) -> Codes:
    """Return the type code of each guid, -1 where it is not known."""
    single = types.codes.copy()
    single[known.lead[types.codes != types.codes[known.lead]]] = -1
    places = known.find(column)
    codes = np.full(len(column), -1, np.int32)
    codes[places >= 0] = single[places[places >= 0]]
    return codes


def _findings(
    facts: Facts, rule: Rule, rows: Rows, types: TypeTable, old_codes: Codes, new_codes: Codes
) -> Iterator[Finding]:
    for row in rows.tolist():
        old, new = facts.old(row), facts.new(row)
        before, after = types.names[old_codes[row]], types.names[new_codes[row]]
        yield Finding(
            rule.id,
            rule.severity,
            f"a {before} is merged into a {after}",
            fingerprint(rule.id, old, new),
            subject=old,
            path=(old, new),
            rows=facts.copies(row),
            guids=1,
            references=facts.references_at(facts.join.lead[[row]]),
            fix=rule.fix,
            details={"old_type": before, "new_type": after},
        )
