"""Rows whose new was itself merged away: the current guid is two merges away or more.

Nothing is wrong with a chain, but every reader that follows only one row gets a guid that is gone. One finding with a
histogram of depths and the ten deepest.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mergeguard.core.facts import Facts
from mergeguard.core.findings import MAX_WITNESS, Finding, fingerprint
from mergeguard.core.index import Rows
from mergeguard.core.rule import Rule, Verdict
from mergeguard.core.witness import longest_walk

WORST = 10
MAX_BINS = 50
"""Depths beyond are counted together."""


def chain_rows(facts: Facts) -> int:
    """Count the rows whose new has a step of its own; a self-merge is no chain."""
    return int(((facts.join.succ >= 0) & ~facts.self_merges).sum())


def check(facts: Facts, rule: Rule) -> Verdict:
    """Report all chains as one finding, if there is any."""
    rows = chain_rows(facts)
    return Verdict(1, _finding(facts, rule, rows)) if rows else Verdict()


def _finding(facts: Facts, rule: Rule, rows: int) -> Iterator[Finding]:
    depth = facts.closure.depth[facts.leads]
    worst = _worst(facts, depth)
    walk = longest_walk(facts, worst[0], MAX_WITNESS) if worst else []
    path = (*(facts.old(row) for row in walk), facts.new(walk[-1])) if walk else ()
    deep = int((depth > 1).sum())
    yield Finding(
        rule.id,
        rule.severity,
        f"{rows} row{'s lead' if rows > 1 else ' leads'} to a guid that was itself merged away; "
        f"{deep} old{'s lie' if deep != 1 else ' lies'} two merges or more from the current guid",
        fingerprint(rule.id),
        subject=path[0] if path else None,
        path=path,
        rows=tuple(facts.row(row) for row in walk),
        guids=deep,
        references=facts.references_at(facts.leads[depth > 1]),
        fix=rule.fix,
        details={
            "rows": rows,
            "histogram": histogram(depth),
            "worst": [{"guid": str(facts.old(lead)), "depth": int(facts.closure.depth[lead])} for lead in worst],
        },
    )


def histogram(depth: Rows) -> dict[str, int]:
    """Count olds by depth; the last bin, ``50+``, holds all deeper ones."""
    counts = np.bincount(np.minimum(depth[depth >= 0], MAX_BINS))
    return {f"{at}+" if at == MAX_BINS else str(at): int(count) for at, count in enumerate(counts) if count}


def _worst(facts: Facts, depth: Rows) -> list[int]:
    """Return the leads of the deepest olds, at most ``WORST``, equals by guid."""
    deep = facts.leads[depth > 1]
    if len(deep) > WORST:
        # Only the olds as deep as the tenth deepest can be among the ten.
        limit = np.partition(facts.closure.depth[deep], -WORST)[-WORST]
        deep = deep[facts.closure.depth[deep] >= limit]
    ordered = facts.by_guid(deep)
    chosen: list[int] = ordered[np.argsort(-facts.closure.depth[ordered], kind="stable")][:WORST].tolist()
    return chosen
