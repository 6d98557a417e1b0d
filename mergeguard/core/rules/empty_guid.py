"""A merge whose old or new is NULL, blank or the all-zero guid.

NULL and blank make the row no edge. The all-zero guid is a guid like any other to the database, so its rows stay in the
graph; but everything that is merged into it has become one and the same nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mergeguard.core import guids
from mergeguard.core.facts import Facts
from mergeguard.core.findings import Finding, fingerprint
from mergeguard.core.guids import EMPTY, Guids
from mergeguard.core.index import Rows
from mergeguard.core.rule import Rule, Verdict
from mergeguard.core.table import RejectedRow


def check(facts: Facts, rule: Rule) -> Verdict:
    """Find every row with a missing old or new, and every merge from or to the all-zero guid."""
    old, new = _zero(facts.table.old), _zero(facts.table.new)
    zero = facts.distinct(np.flatnonzero(old | new).astype(np.int32))
    blank = [row for row in facts.table.rejected.rows if row.blank]
    return Verdict(facts.table.rejected.blank + len(zero), _findings(facts, rule, blank, zero))


def _zero(column: Guids) -> guids.Bools:
    words = guids.keys(column)
    flags: guids.Bools = (words[:, 0] | words[:, 1]) == 0
    return flags


def _findings(facts: Facts, rule: Rule, blank: list[RejectedRow], zero: Rows) -> Iterator[Finding]:
    for rejected in sorted(blank, key=lambda row: (row.column, str(row.row_id))):
        held = "NULL" if rejected.value is None else "blank"
        yield Finding(
            rule.id,
            rule.severity,
            f"row {rejected.row_id}: {rejected.column} is {held}",
            fingerprint(rule.id, str(rejected.row_id), rejected.column),
            guids=1,
            fix=rule.fix,
            details={"row_id": rejected.row_id, "column": rejected.column, "value": rejected.value},
        )
    for row in zero.tolist():
        old, new = facts.old(row), facts.new(row)
        side = "old" if old == EMPTY else "new"
        yield Finding(
            rule.id,
            rule.severity,
            f"{side} is the all-zero guid",
            fingerprint(rule.id, old, new),
            subject=old,
            path=(old, new),
            rows=facts.copies(row),
            guids=1,
            references=facts.references_at(facts.join.lead[[row]]),
            fix=rule.fix,
            details={"column": side},
        )
