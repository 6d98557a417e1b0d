"""Which element may stand in which, and the names of their attributes.

Elements and attributes are known in any case of letters. What stands around the inventory, and is none of ours, is let
be: an envelope has more on it than its recipient. Inside the inventory nothing is let be, for it would be lost in
silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """An element in its place: a resource that is described is another one than a resource that rows are of."""

    name: str
    inside: Mapping[str, Place] = field(default_factory=dict)
    """What may stand in it, by its name in small letters."""
    lenient: bool = False
    """Whether what is not known in it is let be."""


TO: Final = Place("to")
KEY: Final = Place("key")
KEYS: Final = Place("keys", {"key": KEY})
RESOURCE: Final = Place("resource", {"key": KEY, "keys": KEYS})
RESOURCES: Final = Place("resources", {"resource": RESOURCE})
ASSOCIATION: Final = Place("resourceAssociation")
ASSOCIATIONS: Final = Place("resourceAssociations", {"resourceassociation": ASSOCIATION})
ROW: Final = Place("row")
ROWS: Final = Place("resource", {"row": ROW})
DATA: Final = Place("data", {"resource": ROWS})
DATA_CLASS: Final = Place("inventoryClass", {"data": DATA})
INVENTORY: Final = Place(
    "inventory",
    {
        "resources": RESOURCES,
        "resourceassociations": ASSOCIATIONS,
        "inventoryclass": DATA_CLASS,
        "eventclass": DATA_CLASS,
    },
)
BODY: Final = Place("body", {"inventory": INVENTORY}, lenient=True)
MESSAGE: Final = Place("message", {"to": TO, "body": BODY}, lenient=True)
OUTSIDE: Final = Place("", {"message": MESSAGE})
"""Where the outermost element stands."""
LET_BE: Final = Place("", lenient=True)
"""Any element that is none of ours, and all that stands in it."""
