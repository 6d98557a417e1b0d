"""Whether all that a message says stands there already, so that nothing has to be worked out: mostly it does.

The short way to what finding the resources, mapping the guids, and comparing the data come to for such a message. What
is in the least unusual goes the long way: a guid that leads elsewhere, a key that others have, too, a retired computer.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from mergeguard.core.importing.answers import Answers
from mergeguard.core.importing.blocks import Meant
from mergeguard.core.importing.catalogue import AssociationType, Catalogue
from mergeguard.core.importing.claims import Claims, Ends, Pair
from mergeguard.core.importing.content import Content, Incoming
from mergeguard.core.importing.standing import Linked


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What an event that changes nothing writes down."""

    pairs: tuple[Pair, ...]
    links: tuple[Linked, ...]


def claims_of(content: Content, catalogue: Catalogue) -> Claims | None:
    """Return what a message claims; ``None`` where it may change something whatever stands there.

    Events and parts of rows are written whenever they come, and what came without a guid has to be found.
    """
    resources = content.resources
    if any(each.sent is None for each in resources) or any(each.hash is None for each in content.blocks):
        return None
    links = dict.fromkeys(
        (each.type, parent, child)
        for each in content.links
        for parent, child in ((_guid(each.parent, resources), _guid(each.child, resources)),)
        if parent != child
    )
    return Claims(
        tuple((each.sent, each.type) for each in resources if each.sent is not None),
        tuple(((key.name, key.value), each.sent) for each in resources if each.sent for key in each.keys),
        tuple(((each.data_class.guid, _guid(each.meant, resources)), each.hash or "") for each in content.blocks),
        tuple(links),
        tuple(_limited(links, catalogue.associations)),
    )


def confirmed(claims: Claims, known: Answers, guids: AbstractSet[uuid.UUID], event: int) -> Confirmed | None:
    """Return what an event confirms, if all that it says stands there; ``None`` where that is not known.

    Args:
        claims: of its message.
        known: of the database.
        guids: of its message, and its sender.
        event: its registration id.
    """
    if not (guids <= known.steady and _are_known(claims, known) and _have_room(claims, known)):
        return None
    pairs, summaries = [], known.summaries
    for pair, hash_ in claims.data:
        there = summaries.get(pair)
        if there is None or there[0] != hash_ or (there[1] or event) > event:
            return None
        if there[1] != event:
            pairs.append(pair)
    return Confirmed(tuple(pairs), tuple([Linked(*ends, event) for ends in claims.links]))


def _are_known(claims: Claims, known: Answers) -> bool:
    """Say whether the resources are of these types, and each of their keys is its own alone."""
    standings, sole = known.standings, known.sole
    for guid, kind in claims.resources:
        if kind is not None and standings[guid].type != kind:
            return False
    for key, owner in claims.keys:  # noqa: SIM110 - a third of the time of all()
        if sole.get(key) != owner:
            return False
    return True


def _have_room(claims: Claims, known: Answers) -> bool:
    """Say whether no association gives way to another one."""
    for end, most, children in claims.limited:
        there = known.links.get(end)
        if there is None or len(there.keys() | children) > most:
            return False
    return True


def _guid(meant: Meant, resources: tuple[Incoming, ...]) -> uuid.UUID:
    guid = resources[meant].sent if isinstance(meant, int) else meant
    assert guid is not None  # noqa: S101 - for the type checker: all were sent with one
    return guid


def _limited(
    links: Mapping[Ends, object], types: Mapping[uuid.UUID, AssociationType]
) -> list[tuple[Pair, int, frozenset[uuid.UUID]]]:
    children: dict[Pair, set[uuid.UUID]] = {}
    for kind, parent, child in links:
        if types[kind].maximum:
            children.setdefault((kind, parent), set()).add(child)
    return [(end, types[end[0]].maximum or 0, frozenset(each)) for end, each in children.items()]
