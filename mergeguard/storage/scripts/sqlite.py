# ruff: noqa: S608 - quoted names and literals make up texts that people read; values never come here
"""The texts between the marks of ``sql/sqlite/00_names.sql``: a profile's tables and columns as SQLite spells them.

SQLite merges by SQL where all guids of merges are texts in one of the usual spellings, or all are 16 bytes: those an
index finds. Anything else is read, and not written: such a merge takes ``mergeguard merge``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from mergeguard.core import guids
from mergeguard.errors import Unsupported
from mergeguard.storage.guard import sqlite as guard_sqlite
from mergeguard.storage.journal.tables import CLOCKS
from mergeguard.storage.profile import Profile, Reference
from mergeguard.storage.scripts.survival_sqlite import survival
from mergeguard.storage.scripts.unmerge_sqlite import unmerging

if TYPE_CHECKING:
    from mergeguard.storage.database.stored_table import StoredTable
    from mergeguard.storage.rows.database import DatabaseRows
    from mergeguard.storage.scripts.files import Repointed

_GROUPS: Final = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
_SWAPPED: Final = (4, 3, 2, 1, 6, 5, 8, 7)
_NONE: Final = "SELECT {} WHERE 0"


def names(rows: DatabaseRows, profile: Profile) -> Mapping[str, str]:
    """Return what stands between each mark.

    Args:
        rows: of an open transaction; nothing is written.
        profile: names the tables.

    Raises:
        UnknownSchema: a table or a column of the profile does not exist.
        Unsupported: a name with a schema, or ids that are no guids.
    """
    if profile.merge.ids == "text":
        raise Unsupported(
            f"{profile.merge.table}: ids that are no guids are not merged by SQL",
            hint='[merge] ids = "text" is for tables that are read alone',
        )
    with rows.source.translated():
        return _Names(rows, profile).texts()


def places(rows: DatabaseRows, profile: Profile, repointed: Sequence[Repointed]) -> Mapping[str, str]:
    """Return the marks for what a merge re-points.

    Raises:
        UnknownSchema: a table or a column of the profile does not exist.
    """
    return {**survival(rows, profile, repointed), **unmerging(rows, profile, repointed)}


class _Names:
    """The texts for one profile."""

    def __init__(self, rows: DatabaseRows, profile: Profile) -> None:
        self._rows = rows
        self._profile = profile
        self._spelling = guard_sqlite.script(rows, profile, None).keys.spelling
        self._packed = self._spelling == "plain"
        merge = profile.merge
        self._merge = rows.table(merge.table)
        self._old, self._new = (self._column(merge.table, name) for name in (merge.old, merge.new))

    def texts(self) -> dict[str, str]:
        """Return all of them."""
        return self._reads() | self._writes() | self._black_list() | self._declared() | self._own_tables()

    def _reads(self) -> dict[str, str]:
        merge, types = self._profile.merge, self._profile.types
        row_id = "rowid" if merge.row_id is None else self._column(merge.table, merge.row_id)
        return {
            "merge_table": self._merge.name,
            "row_id": f"CAST({row_id} AS TEXT)",
            "old": self._old,
            "new": self._new,
            "merged_at": "NULL" if merge.time is None else self._column(merge.table, merge.time),
            "deleted": _union([*map(_deleted, merge.deleted_values)], 2),
            "live": self._live(),
            "types": _NONE.format("NULL, NULL")
            if types is None
            else f"SELECT {self._cells(types.table, types.guid, types.type)}",
            "references": self._all(self._profile.references),
        }

    def _writes(self) -> dict[str, str]:
        """Return what writes into the vendor's tables, and the cells that the journal keeps."""
        merge, live = self._profile.merge, self._profile.live
        clock = [] if merge.time is None else [self._column(merge.table, merge.time)]
        named = ", ".join((self._old, self._new, *clock))
        told = ", ".join(("NEW.old_text", "NEW.new_text", *(CLOCKS["sqlite"] for _ in clock)))
        texts = {
            "merge_name": _literal(merge.table),
            "merge_cells": _cells(self._merge),
            "insert_merge": f"INSERT INTO {self._merge.name} ({named}) VALUES ({told})",
            "can_merge": _flag(self._spelling != "any"),
            "packed": _flag(self._packed),
            "packs": _flag(self._packs()),
            "swapped": _flag(merge.byte_order == "sqlserver"),
            "live_name": "NULL",
            "live_guid": "NULL",
            "live_cells": "SELECT NULL AS name, NULL AS value",
            "live_table": "(SELECT 1) WHERE 0",
            "delete_live": "SELECT NULL",
        }
        if live is not None and live.table is not None and live.guid is not None:
            table, guid = self._rows.table(live.table), self._column(live.table, live.guid)
            texts |= {
                "live_name": _literal(live.table),
                "live_guid": guid,
                "live_cells": _cells(table),
                "live_table": f"{table.name}{self._where(table)}",
                "delete_live": f"DELETE FROM {table.name} WHERE {guid} = OLD.guid_text{self._where(table, ' AND ')}",
            }
        return texts

    def _black_list(self) -> dict[str, str]:
        """Return what puts an agent on the black list; nothing where there is none."""
        listed, managed = self._profile.blacklist, self._profile.managed
        texts = {
            "black_list_name": "NULL",
            "black_list_guid": "NULL",
            "black_list_cells": "SELECT NULL AS name, NULL AS value",
            "black_list_table": "(SELECT 1) WHERE 0",
            "insert_black_list": "SELECT NULL",
            "managed": _NONE.format("NULL, NULL")
            if managed is None
            else f"SELECT {self._cells(managed.table, managed.guid, managed.managed)}",
        }
        if listed is None or self._rows.snapshot.find(listed.table) is None:
            return texts
        table = self._rows.table(listed.table)
        cells = {listed.guid: "NEW.guid_text"}
        cells |= {} if listed.current is None else {listed.current: "NEW.current_text"}
        cells |= {} if listed.time is None else {listed.time: CLOCKS["sqlite"]}
        named = ", ".join(self._column(listed.table, name) for name in cells)
        return texts | {
            "black_list_name": _literal(listed.table),
            "black_list_guid": self._column(listed.table, listed.guid),
            "black_list_cells": _cells(table),
            "black_list_table": table.name,
            "insert_black_list": f"INSERT INTO {table.name} ({named}) VALUES ({', '.join(cells.values())})",
        }

    def _declared(self) -> dict[str, str]:
        profile = self._profile
        return {
            "has_live": _flag(profile.live is not None),
            "has_types": _flag(profile.types is not None),
            "has_times": _flag(profile.merge.time is not None),
            "has_references": _flag(bool(profile.references)),
            "has_deleted": _flag(bool(profile.merge.deleted_values)),
            "has_managed": _flag(profile.managed is not None),
            "is_guarded": _flag(profile.merging.guarded == "required"),
            "guard_names": ", ".join(_literal(f"{profile.merging.guard}_{event}") for event in ("insert", "update")),
            "merge_plain": _literal(self._rows.snapshot.resolve(profile.merge.table)[1]),
        }

    def _own_tables(self) -> dict[str, str]:
        profile, quote = self._profile, self._quote
        lookup, merging, journal = profile.lookup, profile.merging, profile.journal
        plain = lookup.table.rpartition(".")[2]
        columns = {"old": lookup.old, "current": lookup.current, "depth": lookup.depth, "status": lookup.status}
        tables = {
            "lookup": lookup.table, "roots": merging.roots, "never": merging.never, "requests": merging.requests,
            "runs": journal.runs, "steps": journal.steps, "changes": journal.changes, "guard": merging.guard,
            "guard_insert": f"{merging.guard}_insert", "guard_update": f"{merging.guard}_update",
        }  # fmt: skip
        return {
            **{name: self._own(table) for name, table in tables.items()},
            **{f"lookup_{name}": quote(column) for name, column in columns.items()},
            "lookup_index": quote(f"IX_{plain}_{lookup.current}"[:63]),
            "guid_type": "BLOB" if self._packed else "TEXT",
            "lookup_old_guid": self._told(quote(lookup.old)),
            "lookup_current_guid": self._told(quote(lookup.current)),
            "root_guid": self._told("guid"),
            "one_guid": self._told("one_guid"),
            "other_guid": self._told("other_guid"),
            **{
                f"{name}_cell": self._stored(guid)
                for name, guid in {
                    "new_old": "NEW.old_guid", "new_current": "NEW.current_guid", "new_root": "NEW.guid",
                    "new_one": "NEW.one_guid", "new_other": "NEW.other_guid",
                    "gone_one": "OLD.one_guid", "gone_other": "OLD.other_guid",
                }.items()
            },
        }  # fmt: skip

    # Parts.

    def _live(self) -> str:
        live = self._profile.live
        if live is None:
            return _NONE.format("NULL")
        if live.table is None or live.guid is None:
            # A query has one column, whatever it calls it.
            return f"WITH live (guid_text) AS ({live.query}) SELECT guid_text FROM live"
        table = self._rows.table(live.table)
        return f"SELECT {self._cells(live.table, live.guid)}{self._where(table)}"

    def _where(self, table: StoredTable, begin: str = " WHERE ") -> str:
        live = self._profile.live
        pairs = () if live is None or live.table is None else live.where
        parts = [
            f"CAST({table.quotes[self._rows.column(str(live and live.table), column)]} AS TEXT) = {_literal(value)}"
            for column, value in pairs
        ]
        return begin + " AND ".join(parts) if parts else ""

    def _cells(self, table: str, *columns: str) -> str:
        return f"{', '.join(self._column(table, column) for column in columns)} FROM {self._rows.table(table).name}"

    def _all(self, references: Sequence[Reference]) -> str:
        """Return one SELECT for all of some references."""
        cells = [f"SELECT {_literal(str(one))}, {self._cells(one.table, one.column)}" for one in references]
        return _union(cells, 2)

    def _packs(self) -> bool:
        """Say whether guids of merges or of live resources are 16 bytes; where nothing stands, whether they may be."""
        live = self._profile.live
        if self._packed or live is None:
            return self._packed
        cells = f"WITH cells (guid_text) AS ({self._live()}) SELECT EXISTS (SELECT 1 FROM cells"
        if self._rows.scalar(f"{cells})"):
            return bool(self._rows.scalar(f"{cells} WHERE typeof(guid_text) = 'blob')"))
        if live.table is None or live.guid is None:
            return True
        declared = self._rows.table(live.table).by_name[self._rows.column(live.table, live.guid)].type.upper()
        return not any(kind in declared for kind in ("CHAR", "CLOB", "TEXT"))

    def _told(self, column: str) -> str:
        """Return a guid of our own tables as a text."""
        return self._unpacked(column) if self._packed else column

    def _stored(self, guid: str) -> str:
        """Return a guid that is a text as our own tables have it."""
        return self._bytes_of(guid) if self._packed else guid

    def _bytes_of(self, guid: str) -> str:
        """Return the 16 bytes of 36 characters, or of any other usual spelling."""
        pairs = _SWAPPED if self._profile.merge.byte_order == "sqlserver" else range(1, 9)
        digits = " || ".join([*(f"substr(t, {2 * pair - 1}, 2)" for pair in pairs), "substr(t, 17)"])
        bare = f"lower(replace(replace(replace({guid}, '-', ''), '{{', ''), '}}', ''))"
        nibble = "instr('0123456789abcdef', substr(digits, {}, 1))".format
        first, second = (
            f"substr(every, 16 * {nibble(f'at + {at}')} + {nibble(f'at + {at + 1}')} - 16, 1)" for at in (0, 2)
        )
        return (
            f"(WITH RECURSIVE byte (at, digits, bytes) AS (SELECT 1, {digits}, '' FROM (SELECT {bare} AS t) "
            f"WHERE length(t) = 32 AND t NOT GLOB '*[^0-9a-f]*'\n        UNION ALL SELECT at + 4, digits, bytes "
            f"|| ({first}\n        || {second}) FROM byte, mergeguard_bytes WHERE at < 32)\n"
            f"        SELECT CAST(bytes AS BLOB) FROM byte WHERE at = 33)"
        )

    def _unpacked(self, cell: str) -> str:
        """Return 16 bytes as 36 characters."""
        pairs = _SWAPPED if self._profile.merge.byte_order == "sqlserver" else range(1, 9)
        digits = " || ".join(
            [*(f"substr(hex({cell}), {2 * pair - 1}, 2)" for pair in pairs), f"substr(hex({cell}), 17)"]
        )
        groups = " || '-' || ".join(f"substr(t, {at}, {size})" for at, size in _GROUPS)
        return f"CASE WHEN {cell} IS NOT NULL THEN (SELECT {groups} FROM (SELECT lower({digits}) AS t)) END"

    def _column(self, table: str, column: str) -> str:
        return self._rows.table(table).quotes[self._rows.column(table, column)]

    def _own(self, name: str) -> str:
        """Return the quoted name of one of our tables, which need not be there yet.

        Raises:
            Unsupported: it has a schema, and a file of SQLite has none.
        """
        if "." in name:
            raise Unsupported(f"{name}: the tables of MergeGuard stand in the file itself", hint="leave schemas out")
        return self._quote(name)

    def _quote(self, name: str) -> str:
        return self._rows.connection.dialect.identifier_preparer.quote_identifier(name)


def _cells(table: StoredTable) -> str:
    """Return the cells of a row, one row each."""
    return " UNION ALL ".join(
        f"SELECT {_literal(name)} AS name, {table.quotes[name]} AS value" for name in table.columns
    )


def _deleted(value: str) -> str:
    guid = guids.parse(value.strip())
    return f"SELECT {_literal(value.strip())}, {'NULL' if guid is None else _literal(str(guid))}"


def _union(parts: Sequence[str], columns: int) -> str:
    return "\nUNION ALL ".join(parts) if parts else _NONE.format(", ".join(["NULL"] * columns))


def _flag(is_true: bool) -> str:
    return "1" if is_true else "0"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
