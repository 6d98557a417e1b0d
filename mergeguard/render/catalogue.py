"""The catalogue of rules as text: the list, and one rule's page."""

from __future__ import annotations

import inspect
import sys

from mergeguard.core.rule import Rule
from mergeguard.core.rules import RULES
from mergeguard.render.table import aligned


def rule_list() -> str:
    """List every rule: id, name, severity, what it finds and what it needs."""
    rows = [(rule.id, rule.name, rule.severity.value, rule.title, _needs(rule)) for rule in RULES]
    return aligned(rows, ("rule", "name", "severity", "finds", "needs"))


def rule_page(rule: Rule) -> str:
    """Explain one rule in words: the page that stands in docs/reference/rules."""
    return (
        f"{rule.id} {rule.name} ({rule.severity.value}): {rule.title}\n\n{rule_story(rule)}\n\n"
        f"What to do: {rule.fix}.\nNeeds: {_needs(rule)}.\n"
    )


def rule_story(rule: Rule) -> str:
    """Return what the rule's own file says about it."""
    return inspect.cleandoc(sys.modules[rule.check.__module__].__doc__ or rule.title)


def _needs(rule: Rule) -> str:
    return ", ".join(sorted(need.name.lower() for need in rule.needs)) or "nothing but the rows"
