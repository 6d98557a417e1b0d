"""What a repair never touches, with the reason: said in every plan, so that nobody takes it for overlooked."""

from __future__ import annotations

from mergeguard.core import rules
from mergeguard.core.facts import Facts
from mergeguard.core.repair.component import LeftAlone

WHY = {
    "dangling": "the row is the only record of where the guid went",
    "type-mismatch": "whether the merge or the type is wrong is for a person to say",
    "malformed-guid": "a value that is no guid names nothing that could be decided about",
    "empty-guid": "an empty value names nothing that could be decided about",
    "chain": "a chain is no defect: the lookup follows it",
    "flip-flop": "the cycle is repaired; that two resources share a key is for a person to mend",
    "cycle-tree": "these rows are right and lead somewhere again once their cycle is repaired",
}
"""By rule name; in the order of the catalogue wherever it is printed."""


def left_alone(facts: Facts) -> tuple[LeftAlone, ...]:
    """Count what a repair leaves as it is, in the order of the catalogue; kinds of which there is none are left out."""
    found = []
    for rule in rules.RULES:
        if rule.name in WHY:
            count = rule.run(facts, limit=0).count
            if count:
                found.append(LeftAlone(rule.name, count, WHY[rule.name]))
    return tuple(found)
