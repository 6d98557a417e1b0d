"""A row whose old or new is no guid at all.

Such a row is no edge: it is left out of the graph and the lookup, and reported with its row id and what it holds.
"""

from __future__ import annotations

from collections.abc import Iterator

from mergeguard.core.facts import Facts
from mergeguard.core.findings import Finding, fingerprint
from mergeguard.core.rule import Rule, Verdict
from mergeguard.core.table import RejectedRow


def check(facts: Facts, rule: Rule) -> Verdict:
    """Find every row with a value that cannot be read as a guid."""
    rejected = facts.table.rejected
    return Verdict(rejected.malformed, _findings(rule, [row for row in rejected.rows if not row.blank]))


def _findings(rule: Rule, rows: list[RejectedRow]) -> Iterator[Finding]:
    for row in sorted(rows, key=lambda row: (str(row.value), row.column, str(row.row_id))):
        yield Finding(
            rule.id,
            rule.severity,
            f"row {row.row_id}: {row.column} holds {row.value!r}, which is no guid",
            fingerprint(rule.id, str(row.row_id), row.column, str(row.value)),
            guids=1,
            fix=rule.fix,
            details={"row_id": row.row_id, "column": row.column, "value": row.value},
        )
