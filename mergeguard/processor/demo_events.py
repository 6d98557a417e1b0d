"""The site of the demonstration's story: fifty computers, made up, and the events that their agents send.

The same each time: no clock, no chance.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mergeguard.core.guids import text_id
from mergeguard.core.importing.keys import COMPUTER
from mergeguard.core.nse import write
from mergeguard.core.nse.message import Association, ClassData, Key, Message, Resource, Row, Target

COMPUTERS: Final = 50
DOCKED: Final = ("PC-07", "PC-23")
"""Notebooks that were set up twice, at home and on a dock, each time under another network card."""
REINSTALLED: Final = "PC-31"
"""A machine that got a new board and a new system: no key of its two resources is the same."""
RING: Final = ("PC-11", "PC-12", "PC-13")
BYSTANDERS: Final = ("PC-01", "PC-02", "PC-03", "PC-04", "PC-05")

_COMPONENT: Final = text_id("story type Software component")
_SITE: Final = text_id("story type Site")
_LOCATED: Final = text_id("story association located in")
_SITES: Final = ("Berlin", "Nairobi", "Osaka")
_COMPONENTS: Final = tuple(f"Component {letter}" for letter in "ABCDEFGHIJ")
_TO: Final = "1592b913-72f3-4c36-91d2-d4eda21d2f96"
_IDENTIFICATION: Final = uuid.UUID("2b2a934a-b000-57f1-83f0-b840d59f1df2")
_INSTALLED: Final = uuid.UUID("30f0a3d2-e154-5b00-adca-0f1fb7c3d22d")
_EXECUTION: Final = uuid.UUID("bf68ab7f-845c-5eb3-a38a-52ecaac42768")


@dataclass(frozen=True, slots=True)
class Post:
    """What an agent posts."""

    source: uuid.UUID
    body: bytes


def catalogue_rows() -> Mapping[str, Sequence[Mapping[str, object]]]:
    """Return what the site has in its catalogue beside computers and the sample classes: two types and a link."""
    return {
        "ResourceType": [
            {"Guid": str(guid), "Name": name} for guid, name in ((_COMPONENT, "Software component"), (_SITE, "Site"))
        ],
        "ResourceTypeMergeKey": [{"ResourceTypeGuid": str(_SITE), "KeyName": "name"}],
        "ResourceAssociationType": [
            {"Guid": str(_LOCATED), "Name": "located in", "MinimumCardinality": 0, "MaximumCardinality": 1}
        ],
    }


def names() -> tuple[str, ...]:
    """Return the names of the computers."""
    return tuple(f"PC-{number:02d}" for number in range(1, COMPUTERS + 1))


def guid_of(name: str, *, second: bool = False) -> uuid.UUID:
    """Return a computer's guid; of one that was set up twice also the second one."""
    return text_id(f"story {name}{' again' if second else ''}")


def inventory(name: str, *, second: bool = False, cards: Sequence[str] = ("first",), extra: int = 0) -> Post:
    """Return a basic inventory.

    Args:
        name: of the computer.
        second: whether it comes under the guid of its second setup.
        cards: its network cards; each makes a ``uniqueid``.
        extra: how many components it has besides its three.
    """
    number = names().index(name)
    mine = [_COMPONENTS[(number + step) % len(_COMPONENTS)] for step in range(3 + extra)]
    called = f"{name}-NEW" if second else name
    keys = [Key("uniqueid", str(text_id(f"{name} card {card}"))) for card in cards]
    me, site = Target("me"), _SITES[number % len(_SITES)]
    resources = (
        Resource("me", guid_of(name, second=second), COMPUTER, called, (_domain(called), *keys)),
        Resource("site", text_id(f"story site {site}"), _SITE, site, (Key("name", site),)),
        *(Resource(f"c{at}", _component(each), _COMPONENT, each) for at, each in enumerate(mine)),
    )
    data = (
        ClassData(_IDENTIFICATION, me, (Row((called, "example.test", "Windows")),)),
        ClassData(_INSTALLED, me, tuple(Row((str(_component(each)), "1")) for each in mine)),
    )
    links = (Association(_LOCATED, me, Target("site")),)
    return Post(guid_of(name, second=second), write(Message(_TO, resources, links, data)))


def execution(name: str, program: str, *, second: bool = False) -> Post:
    """Return an event that says that a program ran."""
    guid = guid_of(name, second=second)
    data = (ClassData(_EXECUTION, Target(guid=guid), (Row((program, "0")),)),)
    return Post(guid, write(Message(_TO, (), (), data)))


def _component(name: str) -> uuid.UUID:
    return text_id(f"story {name}")


def _domain(name: str) -> Key:
    return Key("name.domain", f"{name}.example.test".lower())
