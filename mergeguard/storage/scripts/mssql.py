"""What stands between the marks of the scripts for SQL Server, for one profile.

Tables are qualified and columns are spelled as the catalogue does: nothing is left to the default schema of a login.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, cast

from mergeguard.core import guids
from mergeguard.errors import Unsupported
from mergeguard.storage.guard.mssql import MssqlKeys
from mergeguard.storage.journal.tables import CLOCKS
from mergeguard.storage.scripts.black_list_mssql import black_list
from mergeguard.storage.scripts.files import Repointed
from mergeguard.storage.scripts.survival_mssql import Catalogue, beside, decidable, survival

if TYPE_CHECKING:
    from mergeguard.storage.mssql.rows import MssqlTable
    from mergeguard.storage.mssql.values import Stored
    from mergeguard.storage.profile import Live, Profile, Types
    from mergeguard.storage.rows.database import DatabaseRows

OWN_TYPES: Final[Mapping[str, str]] = {
    "uniqueidentifier": "uniqueidentifier",
    "binary": "binary(16)",
    "text": "char(36)",
}
"""How guids are stored in the merge table -> how our own tables store them beside it."""
NOTHING: Final = "[mergeguard].[nothing]"
"""A table that is not there."""
_SWAPPED: Final = (4, 3, 2, 1, 6, 5, 8, 7)
_PLAIN_TIMES: Final = frozenset({"datetime2", "datetime", "smalldatetime", "date"})
_NO_GUIDS: Final = "SELECT CONVERT(uniqueidentifier, NULL) AS [guid] WHERE 1 = 0"
_NO_TYPES: Final = (
    "SELECT CONVERT(uniqueidentifier, NULL) AS [guid], CONVERT(nvarchar(400), NULL) AS [type] WHERE 1 = 0"
)
_NO_REFERENCES: Final = (
    "SELECT CONVERT(nvarchar(400), NULL) AS [reference], CONVERT(uniqueidentifier, NULL) AS [guid] WHERE 1 = 0"
)


def names(rows: DatabaseRows, profile: Profile) -> Mapping[str, str]:
    """Return the text of each mark; see ``files.Naming``."""
    return MssqlNames(rows, profile).all()


def places(rows: DatabaseRows, profile: Profile, repointed: Sequence[Repointed]) -> Mapping[str, str]:
    """Return the texts of the marks for what a merge re-points, and for what it cannot."""
    made = MssqlNames(rows, profile)
    catalogue = made.catalogue
    moved = [each for each in repointed if decidable(catalogue, each, profile.hashes)]
    columns = ((each.table, column) for each in repointed if each not in moved for column in each.columns)
    found = [made.reference(table, column, f"{table}.{column}") for table, column in columns]
    return {
        "moving_guids": _united(found),
        **survival(catalogue, moved),
        **beside(catalogue, profile.hashes, profile.association_types),
        "black_list": made.black_list(),
    }


class MssqlNames:
    """The texts of one database.

    Args:
        rows: of an open transaction; nothing is written.
        profile: names the tables.
    """

    def __init__(self, rows: DatabaseRows, profile: Profile) -> None:
        self._rows = rows
        self._profile = profile
        merge = profile.merge
        self._old, self._new = rows.column(merge.table, merge.old), rows.column(merge.table, merge.new)
        self._form = self._form_of(merge.table, self._old)
        self._form_of(merge.table, self._new)

    @property
    def catalogue(self) -> Catalogue:
        """What may be asked about tables."""
        return Catalogue(lambda table, column: self._stored(table, column).base, self._rows.column, self._table)

    def all(self) -> dict[str, str]:
        """Return the text of every mark but that of ``places``."""
        return self._merges() | self._live_rows() | self._beside() | self._own() | self._guard()

    def reference(self, table: str, column: str, name: str) -> str:
        """Return the SELECT of the guids of one reference column."""
        guid, place = self._cell(table, column, "r"), self._table(table)
        return f"SELECT {_text(name)} AS [reference], {guid} AS [guid] FROM {place} AS r WHERE {guid} IS NOT NULL"  # noqa: S608 - quoted names

    def black_list(self) -> str:
        """Return the SELECT of what puts an agent on the black list."""
        profile, listed = self._profile, self._profile.blacklist
        if listed is not None and self._rows.snapshot.find(listed.table) is None:
            profile = replace(profile, blacklist=None)
        return black_list(self.catalogue, profile, lambda table, column: self._cell(table, column, "t"), self._written)

    def _written(self, table: str, column: str, guid: str) -> str:
        """Return a ``uniqueidentifier`` as a column stores it."""
        return self._as_stored(guid, self._form_of(table, column))

    def _merges(self) -> dict[str, str]:
        merge = self._profile.merge
        old, new = (f"m.{_quoted(name)}" for name in (self._old, self._new))
        columns, values = [_quoted(self._old), _quoted(self._new)], ["@old_root", "@new_root"]
        if merge.time is not None:
            columns.append(_quoted(self._rows.column(merge.table, merge.time)))
            values.append(CLOCKS["mssql"])
        key = None if merge.merge_key is None else _quoted(self._rows.column(merge.table, merge.merge_key))
        row_id = None if merge.row_id is None else f"m.{_quoted(self._rows.column(merge.table, merge.row_id))}"
        return {
            "merge_table": self._table(merge.table),
            "merge_name": _text(merge.table),
            "old_name": _text(self._old),
            "new_name": _text(self._new),
            "put_columns": ", ".join(columns),
            "put_values": ", ".join(values),
            "has_key": str(int(key is not None)),
            "key_columns": ", ".join([*columns, *([] if key is None else [key])]),
            "key_values": ", ".join([*values, *([] if key is None else ["@merge_key"])]),
            "row_id": f"CONVERT(nvarchar(200), {row_id or 'NULL'})",
            "old_guid": self._guid(old, self._form),
            "new_guid": self._new_guid(new),
            "old_text": self._as_text(old, merge.table, self._old),
            "new_text": self._as_text(new, merge.table, self._new),
            "merged_at": self._time(),
        }

    def _new_guid(self, cell: str) -> str:
        """Return the expression of a new, with the tombstone for all that means *deleted*."""
        form = self._form_of(self._profile.merge.table, self._new)
        read, text = self._guid(cell, form), form == "text"
        keys = MssqlKeys(self._profile.merge, "any" if text else "plain", binary=form == "binary", collation=_COLLATION)
        gone = keys._gone(cell)  # noqa: SLF001 - what the guard asks of a new, too
        return (
            read
            if gone is None
            else f"CASE WHEN {gone} THEN CONVERT(uniqueidentifier, '{guids.TOMBSTONE}') ELSE {read} END"
        )

    def _time(self) -> str:
        merge = self._profile.merge
        if merge.time is None:
            return "CONVERT(datetime2(7), NULL)"
        column = self._rows.column(merge.table, merge.time)
        base, cell = self._stored(merge.table, column).base, f"m.{_quoted(column)}"
        if base in _PLAIN_TIMES:
            return f"CONVERT(datetime2(7), {cell})"
        if base == "datetimeoffset":
            return f"CONVERT(datetime2(7), SWITCHOFFSET({cell}, '+00:00'))"
        return f"TRY_CONVERT(datetime2(7), CONVERT(nvarchar(50), {cell}), 126)"

    def _live_rows(self) -> dict[str, str]:
        """Return the texts for the rows by which guids are live, where liveness is a table."""
        live = self._profile.live
        if live is None or live.table is None or live.guid is None:
            query = None if live is None else live.query
            asked = f"SELECT TRY_CONVERT(uniqueidentifier, q.[guid]) AS [guid] FROM ({query}) AS q ([guid])"  # noqa: S608 - the profile's own query
            return {
                "live_table": NOTHING,
                "live_name": "N''",
                "live_guid_name": "N''",
                "live_written": "0",
                "live_rows": _NO_GUIDS,
                "live_guids": _NO_GUIDS if query is None else asked,
            }
        table, guid = self._table(live.table), self._cell(live.table, live.guid, "l")
        wanted = self._filters(live)
        where = f" WHERE {' AND '.join(wanted)}" if wanted else ""
        both = " AND ".join([*wanted, f"{guid} IS NOT NULL"])
        return {
            "live_table": table,
            "live_name": _text(live.table),
            "live_guid_name": _text(self._rows.column(live.table, live.guid)),
            "live_written": "1",
            "live_rows": f"SELECT * FROM {table} AS l{where}",  # noqa: S608 - quoted names
            "live_guids": f"SELECT {guid} AS [guid] FROM {table} AS l WHERE {both}",  # noqa: S608 - quoted names
        }

    def _filters(self, live: Live) -> list[str]:
        """Return the conditions of a liveness table: equal as texts."""
        found = []
        for name, value in live.where:
            column = self._rows.column(str(live.table), name)
            base = self._stored(str(live.table), column).base
            wanted = value.lower() if base == "uniqueidentifier" else value
            found.append(f"{_spoken(f'l.{_quoted(column)}', base)} = {_text(wanted)}")
        return found

    def _beside(self) -> dict[str, str]:
        profile = self._profile
        said = {
            "has_live": profile.live is not None,
            "has_types": profile.types is not None,
            "has_times": profile.merge.time is not None,
            "has_references": bool(profile.references),
            "has_deleted": bool(profile.merge.deleted_values),
            "is_guarded": profile.merging.guarded == "required",
        }
        references = [self.reference(each.table, each.column, str(each)) for each in profile.references]
        return {
            "guid_types": _NO_TYPES if profile.types is None else self._types(profile.types),
            "reference_guids": _united(references),
            **{mark: str(int(value)) for mark, value in said.items()},
        }

    def _types(self, types: Types) -> str:
        guid, column = self._cell(types.table, types.guid, "t"), self._rows.column(types.table, types.type)
        kind = f"CONVERT(nvarchar(400), t.{_quoted(column)})"
        if self._stored(types.table, column).base == "uniqueidentifier":
            kind = f"LOWER({kind})"
        return (
            f"SELECT {guid} AS [guid], {kind} AS [type] FROM {self._table(types.table)} AS t WHERE {guid} IS NOT NULL"  # noqa: S608 - quoted names
        )

    def _own(self) -> dict[str, str]:
        """Return the texts for our own tables."""
        profile, lookup = self._profile, self._profile.lookup
        tables = {
            "lookup": lookup.table,
            "roots": profile.merging.roots,
            "never": profile.merging.never,
            "requests": profile.merging.requests,
            "runs": profile.journal.runs,
            "steps": profile.journal.steps,
            "changes": profile.journal.changes,
            "guard": profile.merging.guard,
        }
        found = {f"{part}_table": self._table(name) for part, name in tables.items()}
        found |= {f"{part}_text": _text(self._table(name)) for part, name in tables.items()}
        columns = {"old": lookup.old, "current": lookup.current, "depth": lookup.depth, "status": lookup.status}
        index = f"IX_{lookup.table.rpartition('.')[2]}_{lookup.current}"[:63]
        form = self._lookup_form()
        return found | {
            **{f"lookup_{part}": _quoted(name) for part, name in columns.items()},
            "lookup_index": _quoted(index),
            "lookup_index_name": _text(index),
            "lookup_old_guid": self._guid(f"l.{_quoted(lookup.old)}", form),
            "lookup_current_guid": self._guid(f"l.{_quoted(lookup.current)}", form),
            "guid_type": OWN_TYPES[self._form],
            "root_guid": self._guid("r.[guid]", self._form),
            "one_guid": self._guid("n.[one_guid]", self._form),
            "other_guid": self._guid("n.[other_guid]", self._form),
            "stored_one": self._as_stored("i.[one_guid]"),
            "stored_other": self._as_stored("i.[other_guid]"),
        }

    def _guard(self) -> dict[str, str]:
        """Return the name of the guard's trigger, which is that of its table, in the schema of the merge table."""
        schema, _ = self._place(self._profile.merge.table)
        _, stem = self._place(self._profile.merging.guard)
        trigger = f"{_quoted(schema)}.{_quoted(f'{stem}_check')}"
        return {"guard_trigger": trigger, "guard_trigger_text": _text(trigger)}

    def _lookup_form(self) -> str:
        lookup = self._profile.lookup
        stands = self._rows.snapshot.find(lookup.table) is not None
        return self._form_of(lookup.table, lookup.old) if stands else self._form

    def _place(self, name: str) -> tuple[str, str]:
        """Return schema and name of a table, which need not be there."""
        schema, plain = self._rows.snapshot.find(name) or (name.rpartition(".")[0] or None, name.rpartition(".")[2])
        return str(schema or self._rows.snapshot.inspector.default_schema_name or "dbo"), plain

    def _table(self, name: str) -> str:
        return ".".join(map(_quoted, self._place(name)))

    def _stored(self, table: str, column: str) -> Stored:
        return cast("MssqlTable", self._rows.table(table)).stored[self._rows.column(table, column)]

    def _form_of(self, table: str, column: str) -> str:
        """Return how a column stores guids: a key of ``OWN_TYPES``.

        Raises:
            Unsupported: it can hold none.
        """
        stored = self._stored(table, column)
        if stored.base == "uniqueidentifier":
            return stored.base
        if stored.base in {"binary", "varbinary"}:
            return "binary"
        if stored.is_text:
            return "text"
        raise Unsupported(f"{table}.{column}: guids in a column of {stored.base} are not read by SQL scripts")

    def _cell(self, table: str, column: str, alias: str) -> str:
        name = self._rows.column(table, column)
        return self._guid(f"{alias}.{_quoted(name)}", self._form_of(table, name))

    def _guid(self, cell: str, form: str) -> str:
        """Return the expression of a cell as ``uniqueidentifier``; NULL where it is no guid."""
        if form == "uniqueidentifier":
            return cell
        if form == "text":
            digits = MssqlKeys(self._profile.merge, "any", collation=_COLLATION).digits(cell)
            parts = "STUFF(STUFF(STUFF(STUFF(d.[d], 21, 0, '-'), 17, 0, '-'), 13, 0, '-'), 9, 0, '-')"
            fits = "LEN(d.[d]) = 32 AND d.[d] NOT LIKE '%[^0-9a-f]%' COLLATE Latin1_General_BIN2"
            made = f"CASE WHEN {fits} THEN CONVERT(uniqueidentifier, {parts}) END"
            return f"(SELECT {made} FROM (SELECT {digits} AS [d]) AS d)"  # noqa: S608 - quoted names
        return (
            f"CASE WHEN DATALENGTH({cell}) = 16 "
            f"THEN CONVERT(uniqueidentifier, CONVERT(binary(16), {self._in_order(cell)})) END"
        )

    def _as_stored(self, cell: str, form: str | None = None) -> str:
        """Return a ``uniqueidentifier`` as a column of some form stores it; as our own tables do without one."""
        form = form or self._form
        if form == "uniqueidentifier":
            return cell
        if form == "text":
            return f"LOWER(CONVERT(char(36), {cell}))"
        return f"CONVERT(binary(16), {self._in_order(f'CONVERT(binary(16), {cell})')})"

    def _in_order(self, packed: str) -> str:
        """Return 16 bytes of the profile's order in that of the server, or the other way round."""
        if self._profile.merge.byte_order == "sqlserver":
            return packed
        return " + ".join([*(f"SUBSTRING({packed}, {at}, 1)" for at in _SWAPPED), f"SUBSTRING({packed}, 9, 8)"])

    def _as_text(self, cell: str, table: str, column: str) -> str:
        stored = self._stored(table, column)
        return f"CONVERT(nvarchar(400), {cell}, 1)" if stored.is_binary else f"CONVERT(nvarchar(400), {cell})"


_COLLATION: Final = "DATABASE_DEFAULT"


def _spoken(cell: str, base: str) -> str:
    """Return a cell as the text with which a profile compares it."""
    if base == "uniqueidentifier":
        return f"LOWER(CONVERT(nvarchar(36), {cell}))"
    if base in {*_PLAIN_TIMES, "datetimeoffset", "time"}:
        return f"CONVERT(nvarchar(50), {cell}, 126)"
    return f"CONVERT(nvarchar(4000), {cell})"


def _united(selects: Sequence[str]) -> str:
    return "\nUNION ALL ".join(selects) or _NO_REFERENCES


def _quoted(name: str) -> str:
    return "[" + name.replace("]", "]]") + "]"


def _text(text: str) -> str:
    return "N'" + text.replace("'", "''") + "'"
