"""The guard of SQL Server: one trigger, called once a statement with all of its rows.

It updates the guard's row first and reads after it: at READ COMMITTED, with row versions or without, that reads every
merge that was committed before; under SNAPSHOT the update fails where somebody else has made it meanwhile.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from mergeguard.errors import Unsupported
from mergeguard.storage.cells.guid_spelling import BLANKS
from mergeguard.storage.database.table_indexes import is_indexed
from mergeguard.storage.guard.keys import GuardKeys, Spelling
from mergeguard.storage.guard.parts import Found, GuardPlace, Reason, refusal

if TYPE_CHECKING:
    from mergeguard.storage.mssql.rows import MssqlRows, MssqlTable
    from mergeguard.storage.profile import Merge, Profile
    from mergeguard.storage.rows.database import DatabaseRows

ERRORS: dict[Reason, int] = {
    "self-merge": 51901,
    "conflict": 51902,
    "cycle": 51903,
    "spelling": 51904,
    "no-guard-row": 51905,
}
"""The numbers with which refusals are thrown."""
_TEXTS = {"char", "varchar", "nchar", "nvarchar"}
_BYTES = {"binary", "varbinary"}
_COLUMNS = "(id int NOT NULL PRIMARY KEY, turn bigint NOT NULL)"
_KIND = "SELECT o.type, SCHEMA_NAME(o.schema_id), o.name FROM sys.objects AS o WHERE o.object_id = OBJECT_ID(?)"
_CATALOGUE = """
SELECT t.name, CAST(t.is_disabled AS int), m.definition,
    OBJECT_SCHEMA_NAME(t.parent_id) + N'.' + OBJECT_NAME(t.parent_id),
    CASE WHEN t.parent_id = OBJECT_ID(?) THEN 1 ELSE 0 END
FROM sys.triggers AS t JOIN sys.objects AS o ON o.object_id = t.object_id
LEFT JOIN sys.sql_modules AS m ON m.object_id = t.object_id
WHERE t.name = ? AND (t.parent_id = OBJECT_ID(?) OR SCHEMA_NAME(o.schema_id) = ?)
"""


class MssqlKeys(GuardKeys):
    """Expressions of SQL Server.

    Args:
        collation: of a text column, so that comparisons use its index.
    """

    plus = "+"
    cut = "substring"

    def __init__(self, merge: Merge, spelling: Spelling, *, binary: bool = False, collation: str = "") -> None:
        super().__init__(merge, spelling, binary=binary)
        self._collation = collation

    def literal(self, guid: uuid.UUID) -> str:
        """Return a guid as a constant of the column's own type."""
        return f"0x{self.packed(guid)}" if self.binary else f"CAST('{guid}' AS uniqueidentifier)"

    def plain_key(self, cell: str) -> str:
        """Return a ``uniqueidentifier`` as it is, and of bytes what has 16 of them."""
        return f"CASE WHEN DATALENGTH({cell}) = 16 THEN {cell} END" if self.binary else cell

    def unusual(self, cell: str) -> str | None:
        """Return also the condition that a column of bytes gets those of a text."""
        if self.spelling != "plain" or not self.binary:
            return super().unusual(cell)
        text = self.digits(f"CAST({cell} AS varchar(100))")
        return f"DATALENGTH({cell}) <> 16 AND {self.is_digits(text)}"

    def is_digits(self, text: str) -> str:
        """Say of a text whether it is 32 digits; a binary collation has no other letters between a and f."""
        return f"LEN({text}) = 32 AND {text} NOT LIKE '%[^0-9a-f]%' COLLATE Latin1_General_BIN2"

    def trimmed(self, text: str) -> str:
        """Take the blanks out: inside a guid there are none."""
        for blank in BLANKS:
            text = f"replace({text}, CHAR({ord(blank)}), '')"
        return text

    def as_trimmed(self, word: str) -> str:
        """Take the blanks out, those inside too: 'not set' is found as 'notset'."""
        return "".join(letter for letter in word if letter not in BLANKS)

    def as_key(self, digits: str) -> str:
        """Return 32 digits as bytes that count one each, which any text column is compared with by its index."""
        return f"CAST({digits} AS char(32)) COLLATE {self._collation}"


def script(rows: DatabaseRows, profile: Profile, spelling: Spelling | None) -> MssqlGuardScript:
    """Return the guard of a database; see ``guard.script_of``."""
    merge = profile.merge
    stored = cast("MssqlTable", rows.table(merge.table))
    kind, schema, name = rows.tuples(_KIND, [stored.name])[0]
    if str(kind).strip() != "U":
        raise Unsupported(f"{merge.table} is no table, and only a table has triggers that see its rows")
    old, new = rows.column(merge.table, merge.old), rows.column(merge.table, merge.new)
    kinds = {stored.stored[column].base for column in (old, new)}
    form = "text" if kinds <= _TEXTS else "bytes" if kinds <= _BYTES else "guid"
    if form == "guid" and kinds != {"uniqueidentifier"}:
        raise Unsupported(f"{merge.table}: guids in columns of {' and '.join(sorted(kinds))} are not guarded")
    guard_schema, _, stem = profile.merging.guard.rpartition(".")
    guard_schema = guard_schema or str(rows.scalar("SELECT SCHEMA_NAME()"))
    collation = stored.stored[old].collation or "DATABASE_DEFAULT"
    place = GuardPlace(
        table=merge.table,
        merge=f"{_quoted(schema)}.{_quoted(name)}",
        merge_name=name,
        old=_quoted(old),
        new=_quoted(new),
        guard=f"{_quoted(guard_schema)}.{_quoted(stem)}",
        stem=stem,
        schema=guard_schema,
        merge_schema=schema,
        key_type={"text": f"char(32) COLLATE {collation}", "bytes": "binary(16)", "guid": "uniqueidentifier"}[form],
        indexed=is_indexed(rows, merge.table, old),
        resource=cast("MssqlRows", rows).resource,
    )
    if form != "text":
        return MssqlGuardScript(place, MssqlKeys(merge, "plain", binary=form == "bytes"))
    usual = MssqlKeys(merge, "usual", collation=collation)
    if spelling is None:
        strange = " OR ".join(f"({usual.unusual(f'm.{column}')})" for column in (place.old, place.new))
        asked = f"SELECT CASE WHEN EXISTS (SELECT 1 FROM {place.merge} AS m WHERE {strange}) THEN 1 ELSE 0 END"  # noqa: S608 - quoted names
        spelling = "any" if rows.scalar(asked) else "usual"
    return MssqlGuardScript(place, usual if spelling == "usual" else MssqlKeys(merge, "any", collation=collation))


class MssqlGuardScript:
    """The trigger on one table."""

    def __init__(self, place: GuardPlace, keys: GuardKeys) -> None:
        self.place = place
        self.keys = keys
        self.name = f"{place.stem}_check"
        self.trigger = f"{_quoted(place.merge_schema or 'dbo')}.{_quoted(self.name)}"

    def create_table(self) -> Sequence[str]:
        """Return the statements that make the guard's table and its row."""
        guard = self.place.guard
        return (
            f"IF OBJECT_ID({_text(guard)}, N'U') IS NULL\n    CREATE TABLE {guard} {_COLUMNS}",
            f"IF NOT EXISTS (SELECT 1 FROM {guard} WHERE id = 1)\n    INSERT INTO {guard} (id, turn) VALUES (1, 0)",  # noqa: S608 - quoted names
        )

    def triggers(self) -> dict[str, str]:
        """Return the text of the trigger by its name, from the first line of its body on."""
        return {self.name: self._body()}

    def create_triggers(self) -> Sequence[str]:
        """Return the statements that make a trigger that does nothing where there is none, and give it this text."""
        head = f"TRIGGER {self.trigger} ON {self.place.merge} AFTER INSERT, UPDATE AS"
        return (
            f"IF OBJECT_ID({_text(self.trigger)}, N'TR') IS NULL\n    EXEC ({_text(f'CREATE {head} RETURN')})",
            f"ALTER {head}\n{self._body()}",
            f"ENABLE TRIGGER {self.trigger} ON {self.place.merge}",
        )

    def drop_triggers(self) -> Sequence[str]:
        """Return the statement that takes the trigger away."""
        return (f"IF OBJECT_ID({_text(self.trigger)}, N'TR') IS NOT NULL\n    DROP TRIGGER {self.trigger}",)

    def found(self, rows: DatabaseRows) -> Found:
        """Look the guard up in the catalogue."""
        texts, disabled, elsewhere = {}, [], []
        asked = [self.place.merge, self.name, self.place.merge, self.place.merge_schema]
        for name, is_disabled, definition, table, here in rows.tuples(_CATALOGUE, asked):
            if not here:
                elsewhere.append(table)
                continue
            # The server keeps the statement that made the trigger; the head of it is its own business.
            _, mark, body = str(definition or "").partition("-- MergeGuard guard")
            texts[name] = mark + body
            if is_disabled:
                disabled.append(name)
        return Found(texts, tuple(disabled), tuple(elsewhere))

    def has_row(self, rows: DatabaseRows) -> bool | None:
        """Look for the guard's row, where this login may."""
        if not rows.scalar("SELECT HAS_PERMS_BY_NAME(?, 'OBJECT', 'SELECT')", [self.place.guard]):
            return None
        return bool(rows.tuples(f"SELECT id FROM {self.place.guard} WHERE id = 1"))  # noqa: S608 - quoted names

    def _body(self) -> str:
        place, keys = self.place, self.keys
        old, new = f"m.{place.old}", f"m.{place.new}"
        unusual = [f"({condition})" for cell in (old, new) if (condition := keys.unusual(cell)) is not None]
        asked = f"\n    IF EXISTS (SELECT 1 FROM inserted AS m WHERE {' OR '.join(unusual)})"  # noqa: S608 - quoted names
        return _BODY.format(
            header=place.header(keys.spelling),
            type=place.key_type,
            resource=_text(place.resource),
            guard=place.guard,
            merge=place.merge,
            key_old=keys.old(old),
            key_new=keys.new(new),
            finds=keys.finds(old, "e.k_old"),
            steps=keys.finds(old, "w.k"),
            spelling=f"{asked}\n{_throw('spelling')}" if unusual else "",
            no_row=_throw("no-guard-row"),
            self_merge=_throw("self-merge", named=True),
            conflict=_throw("conflict", named=True),
            cycle=_throw("cycle", named=True),
        )


def _throw(reason: Reason, *, named: bool = False) -> str:
    """Refuse; what follows an IF is one block."""
    text = _text(refusal(reason))
    if not named:
        return f"        THROW {ERRORS[reason]}, {text}, 1;"
    pair = "N' (', CONVERT(nvarchar(70), k_old), N' -> ', CONVERT(nvarchar(70), k_new), N')'"
    # THROW reads a percent sign as the beginning of a placeholder, and a malformed key may hold one.
    return (
        "    BEGIN\n"  # noqa: S608 - constants
        f"        SELECT TOP (1) @words = REPLACE(CONCAT({text}, {pair}), N'%', N'%%') FROM @left;\n"
        f"        THROW {ERRORS[reason]}, @words, 1;\n"
        "    END;"
    )


def _quoted(name: str) -> str:
    return "[" + name.replace("]", "]]") + "]"


def _text(text: str) -> str:
    return "N'" + text.replace("'", "''") + "'"


_BODY = """-- {header}
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    IF NOT EXISTS (SELECT 1 FROM inserted)
        RETURN;
    -- A repair or an undo of MergeGuard holds the merge lock alone, and may put a damaged row back.
    -- This is no security boundary: whoever may write merges may take that lock.
    IF APPLOCK_MODE(N'public', {resource}, N'Transaction') = N'Exclusive'
        OR APPLOCK_MODE(N'public', {resource}, N'Session') = N'Exclusive'
        RETURN;
    DECLARE @words nvarchar(2048), @level int, @found int, @before int, @after int;
    DECLARE @edges TABLE (k_old {type} NOT NULL, k_new {type} NOT NULL, times bigint NOT NULL,
        PRIMARY KEY (k_old, k_new));
    DECLARE @left TABLE (k_old {type} NOT NULL, k_new {type} NOT NULL, PRIMARY KEY (k_old, k_new));
    DECLARE @walk TABLE (k {type} NOT NULL PRIMARY KEY, level int NOT NULL,
        INDEX by_level NONCLUSTERED (level));{spelling}
    -- The merges of this statement that it did not find there, each once, with the number of rows that say it.
    INSERT INTO @edges (k_old, k_new, times)
    SELECT e.k_old, e.k_new, COUNT_BIG(*)
    FROM (SELECT {key_old} AS k_old, {key_new} AS k_new FROM inserted AS m) AS e
    WHERE e.k_old IS NOT NULL AND e.k_new IS NOT NULL
    GROUP BY e.k_old, e.k_new;
    DELETE e FROM @edges AS e
    WHERE EXISTS (SELECT 1 FROM (SELECT {key_old} AS k_old, {key_new} AS k_new FROM deleted AS m) AS b
        WHERE b.k_old = e.k_old AND b.k_new = e.k_new);
    IF NOT EXISTS (SELECT 1 FROM @edges)
        RETURN;
    -- Written, not only locked: who has an older snapshot fails here, who has none waits here.
    UPDATE g SET turn = turn + 1 FROM {guard} AS g WITH (UPDLOCK, HOLDLOCK, ROWLOCK) WHERE g.id = 1;
    IF @@ROWCOUNT <> 1
{no_row}
    -- A merge that other rows said before adds nothing, whatever is wrong with it.
    DELETE e FROM @edges AS e
    WHERE (SELECT COUNT_BIG(*) FROM {merge} AS m WHERE {finds} AND {key_new} = e.k_new) <> e.times;
    INSERT INTO @left (k_old, k_new) SELECT e.k_old, e.k_new FROM @edges AS e WHERE e.k_old = e.k_new;
    IF EXISTS (SELECT 1 FROM @left)
{self_merge}
    INSERT INTO @left (k_old, k_new)
    SELECT e.k_old, e.k_new FROM @edges AS e
    WHERE EXISTS (SELECT 1 FROM {merge} AS m WHERE {finds} AND {key_new} <> e.k_new);
    IF EXISTS (SELECT 1 FROM @left)
{conflict}
    -- A new merge stands on a cycle only if its old is reached from the new of one. Those that are not reached are left
    -- out, until none is left or all are reached: then there is a cycle, and a new merge on it.
    INSERT INTO @left (k_old, k_new) SELECT e.k_old, e.k_new FROM @edges AS e;
    SELECT @before = COUNT(*) FROM @left;
    WHILE @before > 0
    BEGIN
        DELETE FROM @walk;
        INSERT INTO @walk (k, level) SELECT DISTINCT l.k_new, 0 FROM @left AS l;
        SELECT @found = @@ROWCOUNT, @level = 0;
        WHILE @found > 0
        BEGIN
            INSERT INTO @walk (k, level)
            SELECT DISTINCT s.k, @level + 1
            FROM (SELECT {key_new} AS k FROM @walk AS w JOIN {merge} AS m ON {steps} WHERE w.level = @level) AS s
            WHERE s.k IS NOT NULL AND NOT EXISTS (SELECT 1 FROM @walk AS seen WHERE seen.k = s.k);
            SELECT @found = @@ROWCOUNT, @level = @level + 1;
        END;
        DELETE l FROM @left AS l WHERE NOT EXISTS (SELECT 1 FROM @walk AS seen WHERE seen.k = l.k_old);
        SELECT @after = COUNT(*) FROM @left;
        IF @after = @before
{cycle}
        SET @before = @after;
    END;
END
"""
