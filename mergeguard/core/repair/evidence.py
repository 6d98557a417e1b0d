"""What speaks for a guid: the values that evidence is made of; ``storage`` gathers and ``core.repair`` weighs them."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field


class Confidence(enum.Enum):
    """How sure a decision is; comparable by ``rank``."""

    ARBITRARY = "arbitrary"
    """By a total order that means nothing: only with ``--allow-arbitrary``."""
    MEDIUM = "medium"
    ORDERED = "ordered"
    """A person said so, in an override file."""
    STRONG = "strong"
    CERTAIN = "certain"

    @property
    def rank(self) -> int:
        """0 for arbitrary up to 4 for certain."""
        return list(Confidence).index(self)

    @property
    def unattended(self) -> bool:
        """Whether ``--yes`` may apply it: certain and strong."""
        return self.rank >= Confidence.STRONG.rank


class Evidence(enum.Enum):
    """The kinds of evidence, strongest first."""

    TRIVIAL = "E0"
    """A self-merge, or the same merge twice."""
    LIVENESS = "E1"
    """Exactly one candidate is live."""
    UNFINISHED = "E2"
    """A merged-away guid that is live and still owns keys or data: its merge was announced and never finished."""
    ORDER = "E3"
    """The newest row, by a declared integer row id or a declared time."""
    OWNER = "E4"
    """The server that owns the resource, in a hierarchy."""
    REFERENCES = "E5"
    """Nearly all references hold one candidate."""
    CONTACT = "E6"
    """The candidate that was heard of last."""
    TOTAL_ORDER = "E7"
    """The first in text order: says nothing, but says it always."""
    OVERRIDE = "override"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known about one guid; ``None`` where the profile does not say where to find it."""

    guid: uuid.UUID
    live: bool | None = None
    type: str | None = None
    """``None`` also where the guid has no type on record."""
    keys: int | None = None
    """Rows of the key table that it owns."""
    references: Mapping[str, int] | None = None
    """Rows of each declared reference column (``table.column``) that hold it; a column with none is left out."""
    last_contact: dt.datetime | None = None
    """When it was last heard of as a source; aware, UTC."""
    owner: str | None = None
    """The server that owns it."""
    name: str | None = None
    """What people call it."""

    @property
    def mass(self) -> int:
        """Rows of all declared reference columns that hold it."""
        return sum((self.references or {}).values())


@dataclass(frozen=True, slots=True)
class ReadFrom:
    """Where each kind of evidence was read, in words (``ItemResource.Guid``); ``None`` where nothing declares it."""

    live: str | None = None
    types: str | None = None
    keys: str | None = None
    references: tuple[str, ...] = ()
    row_id: str | None = None
    """The declared integer row id, if it counts as an order."""
    time: str | None = None
    contact: str | None = None
    owner: str | None = None
    here: str | None = None
    """How the owner column spells this server."""


@dataclass(frozen=True, slots=True)
class Vote:
    """What one kind of evidence says: this guid is to survive, for this reason."""

    evidence: Evidence
    strength: Confidence
    survivor: uuid.UUID
    why: str
    """A sentence without a full stop, e.g. ``the only live one of 3``."""
    read_from: str
    """The table and column that it was read from."""


@dataclass(frozen=True, slots=True)
class Override:
    """One line of an override file: a person decides a component."""

    component: str
    survivor: uuid.UUID
    who: str
    why: str


@dataclass(frozen=True, slots=True)
class Policy:
    """How much is decided without a person."""

    accept_medium: bool = False
    """Two agreeing mediums suffice."""
    allow_arbitrary: bool = False
    overrides: Mapping[str, Override] = field(default_factory=dict)
    """By component id."""
    clock_skew: dt.timedelta = dt.timedelta(minutes=5)
    """Times that lie no further apart are a tie: the clocks of several servers may have written them."""
