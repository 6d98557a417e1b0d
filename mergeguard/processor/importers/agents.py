"""Whether the agent that sent an event may: black-listed ones and retired computers are not heard on everything."""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable
from collections.abc import Set as AbstractSet

from mergeguard.core.importing.catalogue import DataClass
from mergeguard.core.importing.standing import Standing
from mergeguard.errors import EventRefused


class Returning(enum.Enum):
    """What an event of a retired computer does to it."""

    NOTHING = enum.auto()
    ACTIVE = enum.auto()
    """It is active again."""


def require_listed(source: Standing, black_listed: str) -> None:
    """Require that an agent is not on the black list, where events of those are refused rather than mapped.

    Raises:
        EventRefused: it is.
    """
    if source.blacklisted and black_listed == "refuse":
        raise EventRefused(
            f"its source {source.guid} is on the black list",
            hint="the agent gets its current guid from CreateResource.aspx; BlackListedAgents = map takes such events",
        )


def returning(
    source: Standing, own: Iterable[DataClass], sent: Collection[DataClass], logons: AbstractSet[str]
) -> Returning:
    """Say what an event does to the computer that sent it, where that is retired.

    Args:
        source: the computer.
        own: the classes in which the event holds data about the computer itself.
        sent: all classes of the event.
        logons: names or tables, in lower case, of the event classes that a retired computer may send.

    Raises:
        EventRefused: it is retired, and the event is neither its inventory nor a logon.
    """
    if not source.retired:
        return Returning.NOTHING
    if any(not each.event for each in own):
        return Returning.ACTIVE
    if sent and all(each.event and not logons.isdisjoint((each.name.lower(), each.table.lower())) for each in sent):
        return Returning.NOTHING
    raise EventRefused(
        f"its source {source.guid} is a retired computer",
        hint="logon events of it are taken, and an inventory of its own makes it active again",
    )
