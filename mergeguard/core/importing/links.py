"""Which associations stand after an event: each once, none from a resource to itself, no more than its type allows."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from mergeguard.core.importing.catalogue import AssociationType
from mergeguard.core.importing.standing import Linked

End: TypeAlias = tuple[uuid.UUID, uuid.UUID]
"""Type and parent."""
_NEVER = -1


@dataclass(frozen=True, slots=True)
class SentLink:
    """An association of a message, its ends mapped."""

    type: uuid.UUID
    parent: uuid.UUID
    child: uuid.UUID
    direct: bool
    """Whether the message meant the parent by its current guid, and no merge came in between."""


@dataclass(frozen=True, slots=True)
class LinkPlan:
    """What is written and what is removed."""

    link: tuple[Linked, ...]
    unlink: tuple[Linked, ...] = ()


def limited(links: Iterable[SentLink], types: Mapping[uuid.UUID, AssociationType]) -> frozenset[End]:
    """Return the (type, parent) of which a parent may have only so many, so that what stands has to be read."""
    return frozenset((each.type, each.parent) for each in links if _most(types, each.type))


def plan_links(
    sent: Sequence[SentLink], standing: Iterable[Linked], types: Mapping[uuid.UUID, AssociationType], event: int
) -> LinkPlan:
    """Say which associations are written, and which give way to newer ones.

    Args:
        sent: those of the message, in its order.
        standing: all that stand of each (type, parent) in ``limited``.
        types: of the catalogue.
        event: the registration id of the message's event.
    """
    unique = _unique(sent)
    groups: dict[End, list[SentLink]] = defaultdict(list)
    for each in unique:
        groups[each.type, each.parent].append(each)
    there: dict[End, list[Linked]] = defaultdict(list)
    for link in standing:
        there[link.type, link.parent].append(link)
    made: list[Linked] = []
    gone: list[Linked] = []
    for end, group in groups.items():
        most = _most(types, end[0])
        kept, beaten = _ranked(group, there.get(end, ()), most, event) if most else (group, ())
        made += [Linked(*end, each.child, event) for each in kept]
        gone += beaten
    return LinkPlan(tuple(made), tuple(gone))


def _unique(sent: Sequence[SentLink]) -> list[SentLink]:
    """Drop self-associations and repeats; of repeats the last one counts, and is direct if one of them is."""
    found: dict[tuple[uuid.UUID, uuid.UUID, uuid.UUID], SentLink] = {}
    for each in sent:
        if each.parent == each.child:
            continue
        name = each.type, each.parent, each.child
        before = found.pop(name, None)
        found[name] = before if before is not None and before.direct else each
    return list(found.values())


def _ranked(
    sent: Sequence[SentLink], there: Sequence[Linked], most: int, event: int
) -> tuple[list[SentLink], list[Linked]]:
    """Keep the newest: by event, then those that no merge brought to this parent, then the later in the message."""
    ranks: dict[uuid.UUID, tuple[int, bool, int]] = {
        link.child: (_NEVER if link.event is None else link.event, True, _NEVER) for link in there
    }
    for at, each in enumerate(sent):
        before = ranks.get(each.child)
        rank = event, each.direct, at
        ranks[each.child] = rank if before is None or before[0] <= event else before
    first = sorted(ranks, key=str)
    kept = set(sorted(first, key=lambda child: ranks[child], reverse=True)[:most])
    return [each for each in sent if each.child in kept], [link for link in there if link.child not in kept]


def _most(types: Mapping[uuid.UUID, AssociationType], kind: uuid.UUID) -> int | None:
    known = types.get(kind)
    return None if known is None else known.maximum or None
