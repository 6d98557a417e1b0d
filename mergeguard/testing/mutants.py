"""The zoo of merges that are wrong on purpose, each in one way: who kills it, within how many schedules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hypothesis import strategies as st

from mergeguard.testing.recipe import Found, Lock, Recipe, walk_eight, walk_without_memory
from mergeguard.testing.rings import LEVELS, Case, cases, rings
from mergeguard.testing.sandbox import Sandbox
from mergeguard.testing.search import Search
from mergeguard.testing.systems import PlainMerge
from mergeguard.testing.walkers import NAME, Walker, find_endless

RIGHT: Final = Recipe()
SERIAL: Final = Recipe(level="SERIALIZABLE", lock=Lock.NONE)
"""Right too: the database finds the conflicts, and the merge tries again."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One wrong merge, or one wrong walk.

    Attributes:
        killed_by: the check that must find it, asked alone.
        budget: within how many schedules.
        only_rings: whether bare rings are drawn, and at which levels.
    """

    name: str
    merge: Recipe | None
    killed_by: str
    budget: int
    levels: tuple[str, ...] = LEVELS
    only_rings: bool = False
    walker: Walker | None = None

    @property
    def drawn(self) -> st.SearchStrategy[Case]:
        """What it is given to merge."""
        return rings(self.levels) if self.only_rings else cases(self.levels)


def _race(name: str, merge: Recipe, budget: int, levels: tuple[str, ...] = LEVELS) -> Mutant:
    return Mutant(name, merge, "forest", budget, levels, only_rings=True)


MUTANTS: Final = (
    _race("no check at all", Recipe(checks=False, lock=Lock.NONE, level=None), 50),
    _race("check, then insert", Recipe(lock=Lock.NONE, level=None), 200),
    _race("READ COMMITTED instead of SERIALIZABLE", Recipe(lock=Lock.NONE), 200),
    _race("snapshot instead of SERIALIZABLE", Recipe(lock=Lock.NONE, level="REPEATABLE READ"), 200),
    _race("check before the one lock", Recipe(lock=Lock.ADVISORY, decides=Found.BEFORE), 200),
    _race("one lock, on a snapshot from before it", Recipe(lock=Lock.ADVISORY, level="REPEATABLE READ"), 200),
    _race("the named rows locked", Recipe(lock=Lock.NAMED), 1000),
    _race("roots locked, decided before", Recipe(lock=Lock.ROOTS, decides=Found.BEFORE), 500),
    _race("roots locked, not written, on a snapshot", Recipe(lock=Lock.ROOTS, level="REPEATABLE READ"), 500),
    _race("roots written, not read again", Recipe(decides=Found.BEFORE), 500),
    Mutant("guids compared as texts", Recipe(compares_text=True), "forest", 500),
    Mutant("an earlier target is overwritten", Recipe(roots=False, overwrites=True), "monotone", 300),
    Mutant("no second try after 40001", Recipe(level="SERIALIZABLE", lock=Lock.NONE, retries=False), "confluent", 300),
    Mutant("the target need not be live", Recipe(checks_target=False), "target_live", 300),
    Mutant("the target is retired", Recipe(retires="the target"), "target_live", 50),
    Mutant("types are not compared", Recipe(checks_types=False), "same_type", 500),
    Mutant("the old one is retired in a second transaction", Recipe(retires="later"), "no_shadow", 50),
    Mutant("the lookup flattened one level only", Recipe(lookup="one level"), "lookup", 300),
    Mutant("the lookup not updated for whom was merged before", Recipe(lookup="none"), "lookup", 100),
    Mutant("the lookup refreshed after the commit", Recipe(lookup="after commit"), "lookup", 50),
    Mutant("one end of associations re-pointed", Recipe(ends=("parent",)), "live_refs", 300),
    Mutant("associations of the old one deleted", Recipe(moves_links=False), "conserved", 300),
    Mutant("self-associations kept", Recipe(drops_self=False), "no_artifacts", 500),
    Mutant("duplicate associations kept", Recipe(drops_duplicates=False), "no_artifacts", 1000),
    Mutant("foreign keys skipped", Recipe(tickets=False), "live_refs", 200),
    Mutant("the target's datum wins", Recipe(data="target"), "newest_wins", 300),
    Mutant("a walk without a visited set", None, NAME, 50, walker=walk_without_memory),
    Mutant("a hop limit of eight", None, NAME, 50, walker=walk_eight),
)


def hunt(sandbox: Sandbox, mutant: Mutant, *, seed: int = 0) -> int | None:
    """Return after how many schedules the named check kills a mutant; ``None`` where it lives through its budget."""
    if mutant.walker is not None:
        endless = find_endless(sandbox, mutant.walker, tries=mutant.budget, seed=seed)
        return None if endless is None else endless[1]
    assert mutant.merge is not None  # noqa: S101 - it is one or the other
    system = PlainMerge(sandbox, mutant.merge)
    search = Search(system, mutant.drawn, checks=[mutant.killed_by], schedules=mutant.budget, seed=seed, shrink=False)
    found = search.run()
    return None if found is None else found.schedules


def matrix(kills: dict[str, int | None]) -> str:
    """Write down who was killed by what, and how soon."""
    lines = ["| mutant | killed by | budget | schedules |", "|---|---|---|---|"]
    for mutant in MUTANTS:
        found = kills[mutant.name]
        lines.append(f"| {mutant.name} | `{mutant.killed_by}` | {mutant.budget} | {found or 'alive'} |")
    return "\n".join(lines)
