"""The catalogue of rules: one table of ids, names, severities and needs; one file a rule holds its check."""

from __future__ import annotations

from collections.abc import Collection

from mergeguard.core.facts import Facts
from mergeguard.core.findings import MAX_FINDINGS, Outcome, Severity
from mergeguard.core.rule import Need, Rule
from mergeguard.core.rules import (
    chain,
    cycle,
    cycle_tree,
    dangling,
    empty_guid,
    flip_flop,
    lookup_drift,
    malformed_guid,
    redundant,
    self_merge,
    shadowed_live,
    split,
    stale_reference,
    type_mismatch,
)

_ERROR, _WARNING, _INFO = Severity.ERROR, Severity.WARNING, Severity.INFO

# fmt: off
RULES: tuple[Rule, ...] = (
    Rule("MG001", "cycle", _ERROR, "Rows that lead in a circle",
         "retire exactly one row of the cycle: the outgoing row of the member that survives", cycle.check),
    Rule("MG002", "self-merge", _ERROR, "A guid merged into itself",
         "retire the row; it holds no mapping", self_merge.check),
    Rule("MG003", "split", _ERROR, "One old, several currents",
         "decide which current is right and retire the other rows; never join the two currents", split.check),
    Rule("MG004", "dangling", _WARNING, "Merges that lead to a guid that is not live",
         "keep the rows; find out where the guid went, or declare it deleted",
         dangling.check, frozenset({Need.LIVENESS})),
    Rule("MG005", "shadowed-live", _ERROR, "A live guid with an outgoing merge",
         "finish the merge, or retire the row if the resource came back",
         shadowed_live.check, frozenset({Need.LIVENESS})),
    Rule("MG006", "type-mismatch", _ERROR, "A merge between two types",
         "check which merge key matched; such a merge is usually false",
         type_mismatch.check, frozenset({Need.TYPES})),
    Rule("MG007", "malformed-guid", _ERROR, "A value that is no guid",
         "correct or retire the row; nothing can follow it", malformed_guid.check),
    Rule("MG008", "empty-guid", _ERROR, "A NULL, blank or all-zero guid",
         "correct or retire the row; or name the value with --deleted-value", empty_guid.check),
    Rule("MG009", "lookup-drift", _ERROR, "The stored lookup differs from the rows",
         "run 'mergeguard lookup build'", lookup_drift.check, frozenset({Need.LOOKUP})),
    Rule("MG010", "stale-reference", _WARNING, "A reference column holds merged-away guids",
         "re-point the column to the current guids",
         stale_reference.check, frozenset({Need.REFERENCES})),
    Rule("MG011", "flip-flop", _WARNING, "Merged there and back",
         "find the key that two resources share before it matches again",
         flip_flop.check, frozenset({Need.TIME})),
    Rule("MG012", "cycle-tree", _WARNING, "Guids that lead into a cycle",
         "repair the cycle; these then have a current guid again", cycle_tree.check),
    Rule("MG013", "chain", _INFO, "Merges of merged guids",
         "nothing to repair; read through the lookup instead of one row", chain.check),
    Rule("MG014", "redundant", _INFO, "Rows that say the same again",
         "nothing to repair; of exact copies the oldest row is the one to keep", redundant.check),
)
# fmt: on
OUT_OF_TIME = "the time budget ended first (--max-duration)"
BY_ID = {rule.id: rule for rule in RULES}
BY_NAME = {rule.name: rule for rule in RULES}


def run(
    facts: Facts, *, only: Collection[str] = (), skip: Collection[str] = (), limit: int = MAX_FINDINGS
) -> tuple[Outcome, ...]:
    """Run the catalogue over the facts; ``only`` and ``skip`` hold rule ids. One outcome a rule that was asked for."""
    return tuple(rule.run(facts, limit) for rule in asked(only=only, skip=skip))


def asked(*, only: Collection[str] = (), skip: Collection[str] = ()) -> tuple[Rule, ...]:
    """Return the rules that are to be checked, in catalogue order."""
    return tuple(rule for rule in RULES if (not only or rule.id in only) and rule.id not in skip)


def not_checked(rule: Rule, reason: str) -> Outcome:
    """Return the outcome of a rule that did not run."""
    return Outcome(rule.id, rule.name, rule.severity, not_checked=reason)
