"""A profile says how one vendor's database spells what MergeGuard needs: tables and columns are never hard-coded.

For a file target a *table* is the path of another file, relative to the target's folder.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Ids = Literal["guid", "text"]
ByteOrder = Literal["text", "sqlserver"]
Guarded = Literal["report", "required"]
Sets = Literal["united", "newest"]


@dataclass(frozen=True, slots=True)
class Merge:
    """Where the merges stand. ``old`` and ``new`` are the two columns that every target must have."""

    table: str = "ResourceMerge"
    """May be qualified: ``dbo.ResourceMerge``. For a file target it is not used."""
    old: str = "OldGuid"
    new: str = "NewGuid"
    row_id: str | None = None
    """An integer or text column that names a row. SQLite falls back to ``rowid``."""
    time: str | None = None
    merge_key: str | None = None
    deleted_values: tuple[str, ...] = ()
    """Values of ``new`` that mean *deleted, no successor*; the empty text also means NULL."""
    ids: Ids = "guid"
    byte_order: ByteOrder = "text"
    """Order of the bytes where guids are stored as 16-byte values."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """Where the derived table old -> current stands: ours, beside the vendor's."""

    table: str = "mergeguard_lookup"
    old: str = "old_guid"
    current: str = "current_guid"
    depth: str = "depth"
    status: str = "status"


@dataclass(frozen=True, slots=True)
class Journal:
    """The three tables in which a repair writes down what it does: ours, beside the vendor's; may be qualified."""

    runs: str = "mergeguard_run"
    steps: str = "mergeguard_step"
    changes: str = "mergeguard_change"


@dataclass(frozen=True, slots=True)
class Merging:
    """The tables that merges need beside the journal: ours, beside the vendor's; may be qualified."""

    roots: str = "mergeguard_root"
    """One row a guid that was ever a root in a merge: a merge locks and writes both of its roots here."""
    guard: str = "mergeguard_guard"
    """The one row that every check of the guard writes."""
    never: str = "mergeguard_never"
    """Pairs of guids that must never be merged, either way round."""
    requests: str = "mergeguard_request"
    """Merges that were asked for by an id, with what they answered: asked again, they answer the same."""
    guarded: Guarded = "report"
    """``required``: nothing is merged where the guard is missing or disabled. Otherwise a merge says so and goes on."""


@dataclass(frozen=True, slots=True)
class Live:
    """Which guids are live: a column of a table with equality filters, or a query of one column."""

    table: str | None = None
    guid: str | None = None
    where: tuple[tuple[str, str], ...] = ()
    """(column, value) pairs that must all be equal, compared as text."""
    query: str | None = None


@dataclass(frozen=True, slots=True)
class Types:
    """Where the type of a guid stands."""

    table: str
    guid: str
    type: str


@dataclass(frozen=True, slots=True)
class Keys:
    """Where the keys of a guid stand (name.domain, uniqueid and so on)."""

    table: str
    guid: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Contact:
    """Where it stands when a guid was last heard of as a source; of several rows of a guid the latest counts."""

    table: str
    guid: str
    time: str


@dataclass(frozen=True, slots=True)
class Owner:
    """Where the server that owns a guid stands, in a hierarchy of servers."""

    table: str
    guid: str
    server: str
    here: str | None = None
    """How that column spells the server of this database."""


@dataclass(frozen=True, slots=True)
class Names:
    """Where people's name for a guid stands."""

    table: str
    guid: str
    name: str


@dataclass(frozen=True, slots=True)
class Association:
    """A table of links from a parent to a child. Both ends are references, declared as such or not.

    Of two rows of one type with the same ends one is too many, whatever their time.
    """

    table: str
    parent: str
    child: str
    type: str | None = None
    time: str | None = None
    """Which of several equal links is the newest."""
    order: str | None = None
    """The number of the event that gave a link, which counts before the time; NULL is older than any."""

    @property
    def ends(self) -> tuple[Reference, Reference]:
        """The two columns as references."""
        return Reference(self.table, self.parent), Reference(self.table, self.child)

    def __str__(self) -> str:
        return f"{self.table}: {self.parent} -> {self.child}"


@dataclass(frozen=True, slots=True)
class AssociationTypes:
    """Where it stands how many children of one type a parent may have."""

    table: str
    guid: str
    maximum: str
    """The column of the greatest number; NULL and 0 mean any number."""


@dataclass(frozen=True, slots=True)
class Classes:
    """A catalogue of data classes: which guid the class of a table has."""

    table: str
    guid: str
    name: str
    """The column that holds the name of the data table."""


@dataclass(frozen=True, slots=True)
class Hashes:
    """Where the hash of the data stands that was last loaded for a guid and a data class.

    Data whose hash is unchanged are not loaded again, so a hash must go when the rows behind it are moved.
    """

    table: str
    guid: str
    data_class: str
    hash: str
    classes: Classes | None = None
    """Where to look up the class of a reference that names none."""
    time: str | None = None
    """When the data behind a row were written: which of two resources has the newer, where their table does not say."""
    order: str | None = None
    """The number of the event that gave the data, which counts before the time; NULL is older than any."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A column that holds resource guids: a data class, one end of an association, a foreign key."""

    table: str
    column: str
    unique: tuple[str, ...] = ()
    """Columns, this one among them, of which no two rows may be equal once stale guids are re-pointed. Without them the
    table's own primary and unique keys count."""
    time: str | None = None
    """Which of several rows that become equal is the newest."""
    data_class: str | None = None
    """The guid of the table's data class, for ``Hashes``."""
    order: str | None = None
    """The number of the event that gave a row, which counts before the time; NULL is older than any."""
    sets: Sets | None = None
    """``newest``: this column says whose data a row is, and all rows of a resource are loaded together, so of two
    resources that become one the rows of the one stay that was loaded last, as ``Hashes`` tells. Otherwise the rows of
    both are united."""

    def __str__(self) -> str:
        return f"{self.table}.{self.column}"


@dataclass(frozen=True, slots=True)
class Managed:
    """Where it stands whether an agent manages a guid."""

    table: str
    guid: str
    managed: str
    """1, true or yes say so."""


@dataclass(frozen=True, slots=True)
class Blacklist:
    """The table of agents whose guid was merged away; a merge writes the old root into it, where it stands."""

    table: str
    guid: str
    time: str | None = None
    """Gets the database's time."""
    current: str | None = None
    """Gets the guid that the agent is now."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One database's spelling of everything. What is ``None`` is not declared.

    The ends of ``associations`` stand in ``references`` too: those that are not declared there are added at the end.
    """

    name: str = "flags"
    merge: Merge = field(default_factory=Merge)
    lookup: Lookup = field(default_factory=Lookup)
    live: Live | None = None
    types: Types | None = None
    keys: Keys | None = None
    references: tuple[Reference, ...] = ()
    journal: Journal = field(default_factory=Journal)
    contact: Contact | None = None
    owner: Owner | None = None
    names: Names | None = None
    hashes: Hashes | None = None
    associations: tuple[Association, ...] = ()
    association_types: AssociationTypes | None = None
    merging: Merging = field(default_factory=Merging)
    managed: Managed | None = None
    blacklist: Blacklist | None = None

    def __post_init__(self) -> None:
        declared = {str(reference) for reference in self.references}
        ends = {str(end): end for association in self.associations for end in association.ends}
        added = tuple(end for name, end in ends.items() if name not in declared)
        object.__setattr__(self, "references", (*self.references, *added))
