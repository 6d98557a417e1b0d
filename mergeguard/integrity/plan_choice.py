"""Holds what a person asked for against what was found, and the decisions against the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mergeguard.core.facts import Facts
from mergeguard.core.repair.component import Component
from mergeguard.core.repair.evidence import Confidence, Override
from mergeguard.core.repair.proof import Proof, prove
from mergeguard.errors import UsageError

_SHOWN = 5


def check_overrides(components: Sequence[Component], overrides: Mapping[str, Override]) -> None:
    """Refuse an override of what is not there.

    Raises:
        UsageError: no component has this id, or its survivor is none of the component's candidates.
    """
    by_id = {component.id: component for component in components}
    for override in overrides.values():
        component = by_id.get(override.component)
        if component is None:
            raise UsageError(
                f"the override of component {override.component}: there is no such damaged component",
                hint="it may have been repaired, or its rows changed: take the line from a new plan's refusals",
            )
        candidates = [known.guid for known in component.candidates]
        if override.survivor not in candidates:
            shown = ", ".join(map(str, candidates[:_SHOWN])) + (", ..." if len(candidates) > _SHOWN else "")
            raise UsageError(
                f"the override of component {override.component}: {override.survivor} is not one of its "
                f"{len(candidates)} candidates",
                hint=f"the survivor may be {shown}",
            )


def unused(components: Sequence[Component], overrides: Mapping[str, Override]) -> tuple[str, ...]:
    """Say which overrides decided nothing, and why: their components are refused all the same."""
    refused = {component.id: component.refused for component in components if component.refused is not None}
    ordered = [override.component for override in overrides.values() if override.component in refused]
    return tuple(f"the override of component {one} decided nothing yet: {refused[one]}" for one in sorted(ordered))


def chosen(
    components: Sequence[Component], only: Sequence[str], least: Confidence = Confidence.ARBITRARY
) -> tuple[Component, ...]:
    """Return the components that were asked for, in their order; all where none was named.

    Those that are decided less surely than ``least`` are left out; those that are not decided at all stay.

    Raises:
        UsageError: no component has such an id.
    """
    unknown = set(only) - {component.id for component in components}
    if unknown:
        raise UsageError(
            f"there is no damaged component {min(unknown)}",
            hint="'mergeguard show' gives the ids of a plan's components",
        )
    sure = (one for one in components if one.confidence is None or one.confidence.rank >= least.rank)
    return tuple(component for component in sure if not only or component.id in only)


def proved(facts: Facts, components: Sequence[Component]) -> Proof:
    """Apply the decisions in memory and return the proof that they do what they say.

    Raises:
        RuntimeError: they do not: a bug, and so no plan.
    """
    proof = prove(facts, components)
    if proof.problems:
        raise RuntimeError(f"the plan would not do what it says: {'; '.join(proof.problems[:_SHOWN])}")
    return proof
