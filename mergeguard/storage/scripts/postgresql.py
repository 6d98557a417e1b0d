"""What stands between the marks of the scripts for PostgreSQL, for one profile.

Names are left as the profile qualifies them, so that the search path of whoever runs a script finds them as it does for
MergeGuard; columns are spelled as the catalogue does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, cast

from mergeguard.core import guids
from mergeguard.errors import Unsupported
from mergeguard.storage.database.table_indexes import is_indexed
from mergeguard.storage.guard.postgresql import PostgresqlKeys
from mergeguard.storage.journal.tables import CLOCKS
from mergeguard.storage.scripts.files import Repointed

if TYPE_CHECKING:
    from mergeguard.storage.postgresql.rows import PostgresqlTable
    from mergeguard.storage.profile import Live, Profile, Types
    from mergeguard.storage.rows.database import DatabaseRows

TYPES: Final[Mapping[str, str]] = {
    "uuid": "uuid",
    "bytea": "bytea",
    "text": "text",
    "character varying": "varchar(36)",
    "character": "char(36)",
}
"""The types of guids that can be read -> how our own tables hold theirs beside them."""
LONGEST: Final = 63
_NUMBERS = frozenset({"smallint", "integer", "bigint"})
_TIMES = {"timestamp with time zone": "CAST({} AS timestamp with time zone)"}
_TIMES["timestamp without time zone"] = "{} AT TIME ZONE 'UTC'"


def names(rows: DatabaseRows, profile: Profile) -> Mapping[str, str]:
    """Return the text of each mark; see ``files.Naming``."""
    return PostgresqlNames(rows, profile).all()


def places(rows: DatabaseRows, profile: Profile, repointed: Sequence[Repointed]) -> Mapping[str, str]:
    """Return the text of the mark for what a merge re-points."""
    named = PostgresqlNames(rows, profile)
    return {
        "reference_places": "\nUNION ALL ".join(map(named.repointed, repointed)) or _NO_PLACES,
        **named.survival(),
    }


class PostgresqlNames:
    """The names of one database."""

    def __init__(self, rows: DatabaseRows, profile: Profile) -> None:
        self._rows = rows
        self._profile = profile
        merge = profile.merge
        self._old, self._new = (rows.column(merge.table, name) for name in (merge.old, merge.new))
        self._type = self._base(merge.table, self._old)

    def all(self) -> Mapping[str, str]:
        """Return the texts of all marks."""
        return {
            **self._own(),
            **self._guard(),
            **self._merges(),
            **self._beside(),
            **self._places(),
            "black_list": self._black_list(),
        }

    def repointed(self, each: Repointed) -> str:
        """Return the SELECT of one table that is re-pointed."""
        columns = ", ".join(map(_text, each.columns))
        uuids = all(self._base(each.table, column, known=False) == "uuid" for column in each.columns)
        fits = uuids and self._is_table(each.table)
        rules = json.dumps(each.rules) if fits and self._decidable(each) else None
        kinds = ((column, self._base(each.table, column, known=False)) for column in each.columns)
        holds = " OR ".join(f"{self._guid(_quoted(column), kind)} = $1" for column, kind in kinds)
        return (
            f"SELECT CAST({_text(self._table(each.table))} AS regclass), CAST({_text(each.table)} AS text), "
            f"CAST(ARRAY[{columns}] AS name[]), {str(each.plain and fits).lower()}, CAST({_text(rules)} AS jsonb), "
            f"CAST({_text(holds)} AS text)"
        )

    def _decidable(self, each: Repointed) -> bool:
        """Say whether the scripts can read all that decides which rows of a table survive."""
        time, order = each.rules["time"], each.rules["order"]
        kinds = [self._base(each.table, column, known=False) for column in each.rules["guids"]]
        timed = time is None or self._base(each.table, time, known=False) in _TIMES
        timed = timed and (order is None or self._base(each.table, order, known=False) in _NUMBERS)
        hashes = self._profile.hashes
        if hashes is not None:
            guid = self._rows.column(hashes.table, hashes.guid)
            timed = timed and self._base(hashes.table, guid, known=False) == "uuid"
            stamp = None if hashes.time is None else self._rows.column(hashes.table, hashes.time)
            timed = timed and (stamp is None or self._base(hashes.table, stamp, known=False) in _TIMES)
            number = None if hashes.order is None else self._rows.column(hashes.table, hashes.order)
            timed = timed and (number is None or self._base(hashes.table, number, known=False) in _NUMBERS)
            timed = timed and self._is_table(hashes.table)
        return timed and all(kind in TYPES and kind != "bytea" for kind in kinds)

    def survival(self) -> dict[str, str]:
        """Return the SELECTs of what else decides which rows survive: hashes, their classes, how many links may be."""
        return {"hash_places": self._hashes(), "hash_classes": self._classes(), "link_maxima": self._maxima()}

    def _hashes(self) -> str:
        hashes = self._profile.hashes
        if hashes is None:
            return _NO_HASHES
        named = (hashes.guid, hashes.data_class, hashes.hash, hashes.time, hashes.order)
        columns = [None if name is None else self._rows.column(hashes.table, name) for name in named]
        listed = ", ".join(f"CAST({_text(column)} AS name)" for column in columns)
        table = self._table(hashes.table)
        return f"SELECT CAST({_text(table)} AS regclass), CAST({_text(hashes.table)} AS text), {listed}"

    def _classes(self) -> str:
        classes = None if self._profile.hashes is None else self._profile.hashes.classes
        if classes is None:
            return _NO_CLASSES
        columns = [
            _cast(_quoted(self._rows.column(classes.table, name)), "text") for name in (classes.name, classes.guid)
        ]
        return f"SELECT {', '.join(columns)} FROM {self._table(classes.table)}"  # noqa: S608 - quoted names

    def _maxima(self) -> str:
        types = self._profile.association_types
        if types is None:
            return _NO_MAXIMA
        guid = self._cell(types.table, types.guid)
        text = f"btrim(CAST({_quoted(self._rows.column(types.table, types.maximum))} AS text))"
        maximum = f"CASE WHEN {text} ~ '^[0-9]{{1,9}}$' THEN CAST({text} AS integer) END"
        return f"SELECT {guid}, {maximum} FROM {self._table(types.table)}"  # noqa: S608 - quoted names

    def _own(self) -> dict[str, str]:
        profile, lookup = self._profile, self._profile.lookup
        named = {
            "runs": profile.journal.runs,
            "steps": profile.journal.steps,
            "changes": profile.journal.changes,
            "roots": profile.merging.roots,
            "never": profile.merging.never,
            "requests": profile.merging.requests,
            "lookup": lookup.table,
        }
        columns = {"old": lookup.old, "current": lookup.current, "depth": lookup.depth, "status": lookup.status}
        index = f"IX_{lookup.table.rpartition('.')[2]}_{lookup.current}"[:LONGEST]
        own = {"root_guid": "guid", "one_guid": "one_guid", "other_guid": "other_guid"}
        return {
            **{mark: self._table(name) for mark, name in named.items()},
            **{f"lookup_{mark}": _quoted(name) for mark, name in columns.items()},
            "lookup_index": _quoted(index),
            "guid_type": TYPES[self._type],
            **{mark: self._guid(name, self._type) for mark, name in own.items()},
            "lookup_old_guid": self._guid(_quoted(lookup.old), self._stored(lookup.table, lookup.old)),
            "lookup_current_guid": self._guid(_quoted(lookup.current), self._stored(lookup.table, lookup.current)),
        }

    def _guard(self) -> dict[str, str]:
        """Return the names of all that belongs to the guard."""
        schema, _, stem = self._profile.merging.guard.rpartition(".")
        check = [part for part in (schema, f"{stem}_check") if part]
        return {
            "guard": self._table(self._profile.merging.guard),
            "guard_function": ".".join(map(_quoted, check)),
            "guard_insert": _quoted(f"{stem}_insert"),
            "guard_update": _quoted(f"{stem}_update"),
            "guard_names": ", ".join(_cast(_text(f"{stem}_{event}"), "text") for event in ("insert", "update")),
        }

    def _merges(self) -> dict[str, str]:
        merge = self._profile.merge
        old, new = _quoted(self._old), _quoted(self._new)
        row_id = None if merge.row_id is None else _quoted(self._rows.column(merge.table, merge.row_id))
        return {
            "merge_table": self._table(merge.table),
            "row_id": _cast(row_id, "text"),
            "old_guid": self._guid(old, self._type),
            "new_guid": self._new_guid(new),
            "old_text": _cast(old, "text"),
            "new_text": _cast(new, "text"),
            "merged_at": self._time(),
        }

    def _new_guid(self, cell: str) -> str:
        """Return the expression of a new, with the tombstone for all that means *deleted*."""
        read = self._guid(cell, self._base(self._profile.merge.table, self._new))
        keys = PostgresqlKeys(
            self._profile.merge, "plain" if self._type != "text" else "any", binary=self._type == "bytea"
        )
        gone = keys._gone(cell)  # noqa: SLF001 - what the guard asks of a new, too
        return read if gone is None else f"CASE WHEN {gone} THEN CAST('{guids.TOMBSTONE}' AS uuid) ELSE {read} END"

    def _time(self) -> str:
        merge = self._profile.merge
        if merge.time is None:
            return _cast(None, "timestamp with time zone")
        column = self._rows.column(merge.table, merge.time)
        made = _TIMES.get(self._base(merge.table, column, known=False))
        return _cast(None, "timestamp with time zone") if made is None else made.format(_quoted(column))

    def _beside(self) -> dict[str, str]:
        profile = self._profile
        references = [self._reference(each.table, each.column, str(each)) for each in profile.references]
        said = {
            "has_live": profile.live is not None,
            "has_types": profile.types is not None,
            "has_times": profile.merge.time is not None,
            "has_references": bool(references),
            "has_deleted": bool(profile.merge.deleted_values),
            "is_guarded": profile.merging.guarded == "required",
        }
        nothing = "SELECT CAST(NULL AS text), CAST(NULL AS uuid) WHERE false"
        return {
            "live": _NO_GUIDS if profile.live is None else self._live(profile.live),
            "types": _NO_TYPES if profile.types is None else self._types(profile.types),
            "references": "\nUNION ALL ".join(references) or nothing,
            **{mark: str(value).lower() for mark, value in said.items()},
        }

    def _live(self, live: Live) -> str:
        if live.table is None or live.guid is None:
            return f"SELECT mergeguard.guid_of(CAST(q.g AS text)) FROM ({live.query}) AS q (g)"  # noqa: S608 - the profile's own query
        guid = self._cell(live.table, live.guid)
        wanted = "".join(f" AND {condition}" for condition in self._filters(live))
        return f"SELECT {guid} FROM {self._table(live.table)} WHERE {guid} IS NOT NULL{wanted}"  # noqa: S608 - quoted names

    def _filters(self, live: Live) -> list[str]:
        table = str(live.table)
        columns = [(_quoted(self._rows.column(table, column)), value) for column, value in live.where]
        return [f"CAST({column} AS text) = {_text(value)}" for column, value in columns]

    def _types(self, types: Types) -> str:
        guid = self._cell(types.table, types.guid)
        column = self._rows.column(types.table, types.type)
        kind = f"btrim(CAST({_quoted(column)} AS text))"
        if self._base(types.table, column, known=False) == "uuid":
            kind = _cast(_quoted(column), "text")
        else:
            kind = f"coalesce(CAST(mergeguard.guid_of({kind}) AS text), nullif({kind}, ''))"
        return f"SELECT {guid}, {kind} FROM {self._table(types.table)} WHERE {guid} IS NOT NULL AND {kind} IS NOT NULL"  # noqa: S608 - quoted names

    def _reference(self, table: str, column: str, name: str) -> str:
        guid = self._cell(table, column)
        return f"SELECT CAST({_text(name)} AS text), {guid} FROM {self._table(table)} WHERE {guid} IS NOT NULL"  # noqa: S608 - quoted names

    def _places(self) -> dict[str, str]:
        merge, live = self._profile.merge, self._profile.live
        table = live.table if live is not None and live.guid is not None else None
        column = None if table is None or live is None or live.guid is None else self._rows.column(table, live.guid)
        where = None if table is None or live is None else " AND ".join(self._filters(live)) or None
        named = ((merge.time, "time_column"), (merge.merge_key, "key_column"))
        return {
            "merge_place": _text(self._table(merge.table)),
            "merge_name": _text(merge.table),
            "old_column": _text(self._old),
            "new_column": _text(self._new),
            **{mark: _text(None if name is None else self._rows.column(merge.table, name)) for name, mark in named},
            "new_indexed": str(is_indexed(self._rows, merge.table, self._new)).lower(),
            "writable": str(self._writable(table, column)).lower(),
            "live_place": _text(None if table is None else self._table(table)),
            "live_name": _text(table),
            "live_column": _text(column),
            "live_where": _text(where),
        }

    def _black_list(self) -> str:
        """Return the SELECT of what puts an agent on the black list; of no row where there is none."""
        listed, managed = self._profile.blacklist, self._profile.managed
        if listed is None or self._rows.snapshot.find(listed.table) is None:
            return _NO_BLACK_LIST
        columns = {listed.guid: self._written(listed.table, listed.guid, "$1")}
        columns |= {} if listed.current is None else {listed.current: self._written(listed.table, listed.current, "$2")}
        columns |= {} if listed.time is None else {listed.time: CLOCKS["postgresql"]}
        named = ", ".join(_quoted(self._rows.column(listed.table, name)) for name in columns)
        inserted = f"({named}) VALUES ({', '.join(columns.values())})"
        holds = f"{self._cell(listed.table, listed.guid)} = $1"
        place, managed_holds = None, None
        if managed is not None:
            place = self._table(managed.table)
            said = f"lower(btrim(CAST({_quoted(self._rows.column(managed.table, managed.managed))} AS text)))"
            yes = f"{said} IN ('1', 'true', 't', 'yes', 'y')"
            managed_holds = f"{self._cell(managed.table, managed.guid)} = $1 AND {yes}"
        kinds = ("regclass", "text", "text", "text", "regclass", "text")
        cells = (self._table(listed.table), listed.table, holds, inserted, place, managed_holds)
        return f"SELECT {', '.join(_cast(_text(cell), kind) for cell, kind in zip(cells, kinds, strict=True))}"

    def _written(self, table: str, column: str, guid: str) -> str:
        """Return a ``uuid`` as a column stores it."""
        kind = self._base(table, self._rows.column(table, column))
        if kind != "bytea":
            return guid if kind == "uuid" else f"CAST({guid} AS text)"
        digits = f"replace(CAST({guid} AS text), '-', '')"
        if self._profile.merge.byte_order == "sqlserver":
            order = (7, 5, 3, 1, 11, 9, 15, 13)
            digits = " || ".join([*(f"substr({digits}, {at}, 2)" for at in order), f"substr({digits}, 17)"])
        return f"decode({digits}, 'hex')"

    def _writable(self, live: str | None, live_column: str | None) -> bool:
        """Say whether the scripts may write: into tables of their own, and guids as the server knows them."""
        merge = self._profile.merge
        cells = [(merge.table, self._old), (merge.table, self._new)]
        cells += [] if live is None or live_column is None else [(live, live_column)]
        return all(
            self._is_table(table) and self._base(table, column, known=False) == "uuid" for table, column in cells
        )

    def _table(self, name: str) -> str:
        """Return a table quoted, as the catalogue spells it where it is there."""
        schema, plain = self._rows.snapshot.find(name) or (name.rpartition(".")[0], name.rpartition(".")[2])
        return ".".join(_quoted(part) for part in (schema, plain) if part)

    def _is_table(self, table: str) -> bool:
        """Say whether a row has a place of its own there."""
        return cast("PostgresqlTable", self._rows.table(table)).catalogued.kind == "r"

    def _cell(self, table: str, column: str) -> str:
        name = self._rows.column(table, column)
        return self._guid(_quoted(name), self._base(table, name))

    def _guid(self, cell: str, kind: str) -> str:
        """Return the expression of a cell as ``uuid``; NULL where it is no guid."""
        if kind == "uuid":
            return cell
        if kind != "bytea":
            return f"mergeguard.guid_of(CAST({cell} AS text))"
        digits = f"encode({cell}, 'hex')"
        if self._profile.merge.byte_order == "sqlserver":
            order = (7, 5, 3, 1, 11, 9, 15, 13)
            digits = " || ".join([*(f"substr({digits}, {at}, 2)" for at in order), f"substr({digits}, 17)"])
        return f"CASE WHEN octet_length({cell}) = 16 THEN CAST({digits} AS uuid) END"

    def _stored(self, table: str, column: str) -> str:
        """Return the type of a column of a table that may not be there yet."""
        if self._rows.snapshot.find(table) is None:
            return self._type
        return self._base(table, self._rows.column(table, column))

    def _base(self, table: str, column: str, *, known: bool = True) -> str:
        """Return the type of a column, a domain's own.

        Raises:
            Unsupported: it is to hold guids and cannot.
        """
        stored = cast("PostgresqlTable", self._rows.table(table)).catalogued.base_types
        kind = stored[column]
        if known and kind not in TYPES:
            raise Unsupported(f"{table}.{column}: guids in a column of {kind} are not read by SQL scripts")
        return kind


_NO_GUIDS = "SELECT CAST(NULL AS uuid) WHERE false"
_NO_TYPES = "SELECT CAST(NULL AS uuid), CAST(NULL AS text) WHERE false"
_NO_PLACES = (
    "SELECT CAST(NULL AS regclass), CAST(NULL AS text), CAST(NULL AS name[]), CAST(NULL AS boolean), "
    "CAST(NULL AS jsonb), CAST(NULL AS text) WHERE false"
)
_NO_BLACK_LIST = (
    "SELECT CAST(NULL AS regclass), CAST(NULL AS text), CAST(NULL AS text), CAST(NULL AS text), "
    "CAST(NULL AS regclass), CAST(NULL AS text) WHERE false"
)
_NO_HASHES = f"SELECT CAST(NULL AS regclass), CAST(NULL AS text), {', '.join(['CAST(NULL AS name)'] * 5)} WHERE false"
_NO_CLASSES = "SELECT CAST(NULL AS text), CAST(NULL AS text) WHERE false"
_NO_MAXIMA = "SELECT CAST(NULL AS uuid), CAST(NULL AS integer) WHERE false"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(text: str | None) -> str:
    return "NULL" if text is None else "'" + text.replace("'", "''") + "'"


def _cast(expression: str | None, kind: str) -> str:
    return f"CAST({expression or 'NULL'} AS {kind})"
