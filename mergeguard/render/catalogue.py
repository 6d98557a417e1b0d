"""The catalogue of rules as text: the list, and one rule's page."""

from __future__ import annotations

import inspect
import sys

from mergeguard.core.rule import Need, Rule
from mergeguard.core.rules import RULES
from mergeguard.render.table import aligned

_NOTHING = "nothing but the rows"
_DECLARED = {
    Need.LIVENESS: "to know which guids are live ([live] in the profile, or --live)",
    Need.TYPES: "the types of the guids ([types] in the profile, or --types)",
    Need.REFERENCES: "the columns that hold guids ([[references]] in the profile, or --reference)",
    Need.TIME: "the time of each merge (merge.time in the profile, or --time-column)",
    Need.LOOKUP: "a stored lookup ('mergeguard lookup build')",
}
"""What a rule needs, and how a user says it."""


def rule_list() -> str:
    """List every rule: id, name, severity, what it finds and what it needs."""
    rows = [(rule.id, rule.name, rule.severity.value, rule.title, _needs(rule)) for rule in RULES]
    return aligned(rows, ("rule", "name", "severity", "finds", "needs"))


def rule_page(rule: Rule) -> str:
    """Explain one rule in words, for a terminal."""
    # The stories are Markdown too, which a terminal does not know; where a story begins with the title, once is enough.
    story = rule_story(rule).replace("``", "'").removeprefix(f"{rule.title}.").strip()
    needs = ", ".join(sorted(_DECLARED[need] for need in rule.needs)) or _NOTHING
    return (
        f"{rule.id} {rule.name} ({rule.severity.value}): {rule.title}\n\n{story}\n\n"
        f"What to do: {rule.fix}.\nNeeds: {needs}.\n"
    )


def rule_story(rule: Rule) -> str:
    """Return what the rule's own file says about it."""
    return inspect.cleandoc(sys.modules[rule.check.__module__].__doc__ or rule.title)


def _needs(rule: Rule) -> str:
    return ", ".join(sorted(need.name.lower() for need in rule.needs)) or _NOTHING
