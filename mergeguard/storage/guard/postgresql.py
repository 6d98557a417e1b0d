"""The guard of PostgreSQL: one function behind two triggers, each called once a statement with all of its rows.

At READ COMMITTED each statement of the function sees what was committed before it, so what is read after the guard's
row was updated holds every merge that was committed before. At the other levels the update itself fails where somebody
else has made it since the transaction took its snapshot.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from mergeguard.errors import Unsupported
from mergeguard.storage.cells.guid_spelling import BLANKS
from mergeguard.storage.database.table_indexes import is_indexed
from mergeguard.storage.guard.keys import GuardKeys, Spelling
from mergeguard.storage.guard.parts import RESTORING, Found, GuardPlace, Reason, refusal

if TYPE_CHECKING:
    from mergeguard.storage.postgresql.rows import PostgresqlTable
    from mergeguard.storage.profile import Profile
    from mergeguard.storage.rows.database import DatabaseRows

ROWS, BEFORE = "mergeguard_rows", "mergeguard_rows_before"
"""The transition tables."""
_CHECK_VIOLATION = "23514"
_BLANKS = "".join(f"\\x{ord(blank):02x}" for blank in BLANKS)
_ENABLED = "OA"
_TABLES = "rp"
_TEXTS = ("text", "character varying", "character")
_CATALOGUE = """
    SELECT t.tgname::text, t.tgenabled::text,
        CASE t.tgtype WHEN 4 THEN 'INSERT' WHEN 16 THEN 'UPDATE' ELSE t.tgtype::text END
            || ' ' || coalesce(t.tgoldtable::text, '') || ' ' || coalesce(t.tgnewtable::text, '')
            || CASE WHEN t.tgqual IS NULL THEN '' ELSE ' WHEN' END,
        t.tgrelid::regclass::text, t.tgrelid = to_regclass(%s)
    FROM pg_catalog.pg_trigger t WHERE t.tgfoid = to_regprocedure(%s) AND NOT t.tgisinternal ORDER BY t.tgname
"""
_FUNCTION = """
    SELECT p.prosrc, p.prosecdef AND p.provolatile = 'v' AND p.proconfig = '{"search_path=pg_catalog, pg_temp"}'
    FROM pg_catalog.pg_proc p WHERE p.oid = to_regprocedure(%s)
"""


class PostgresqlKeys(GuardKeys):
    """Expressions of PostgreSQL."""

    def literal(self, guid: uuid.UUID) -> str:
        """Return a guid as a constant of the column's own type."""
        return f"'\\x{self.packed(guid)}'::pg_catalog.bytea" if self.binary else f"'{guid}'::pg_catalog.uuid"

    def plain_key(self, cell: str) -> str:
        """Return a ``uuid`` as it is, and of a ``bytea`` what has 16 bytes."""
        return f"CASE WHEN octet_length({cell}) = 16 THEN {cell} END" if self.binary else cell

    def unusual(self, cell: str) -> str | None:
        """Return also the condition that a ``bytea`` gets the bytes of a text."""
        if self.spelling != "plain" or not self.binary:
            return super().unusual(cell)
        text = self.digits(f"encode({cell}, 'escape')")
        return f"(octet_length({cell}) <> 16 AND {self.is_digits(text)})"

    def is_digits(self, text: str) -> str:
        """Say of a text whether it is 32 digits."""
        return f"{text} ~ '^[0-9a-f]{{32}}$'"

    def trimmed(self, text: str) -> str:
        """Take the blanks off."""
        return f"btrim({text}, E'{_BLANKS}')"

    def as_text(self, cell: str) -> str:
        """Return a cell as text, without what pads a ``character`` column."""
        return f"{cell}::pg_catalog.text"


def script(rows: DatabaseRows, profile: Profile, spelling: Spelling | None) -> PostgresqlGuardScript:
    """Return the guard of a database; see ``guard.script_of``."""
    merge = profile.merge
    stored = cast("PostgresqlTable", rows.table(merge.table))
    if stored.catalogued.kind not in _TABLES:
        raise Unsupported(f"{merge.table} is no table, and only a table has triggers that see its rows")
    old, new = rows.column(merge.table, merge.old), rows.column(merge.table, merge.new)
    kinds = {stored.catalogued.base_types[column] for column in (old, new)}
    kind = "text" if kinds <= set(_TEXTS) else next(iter(kinds))
    if (len(kinds) > 1 and kind != "text") or kind not in {"uuid", "bytea", "text"}:
        raise Unsupported(f"{merge.table}: guids in columns of {' and '.join(sorted(kinds))} are not guarded")
    schema, name = stored.catalogued.full_name
    guard_schema, _, stem = profile.merging.guard.rpartition(".")
    guard_schema = guard_schema or str(rows.scalar("SELECT current_schema()"))
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
        key_type=f"pg_catalog.{kind}",
        indexed=is_indexed(rows, merge.table, old),
    )
    if kind != "text":
        return PostgresqlGuardScript(place, PostgresqlKeys(merge, "plain", binary=kind == "bytea"))
    usual = PostgresqlKeys(merge, "usual")
    if spelling is None:
        strange = " OR ".join(str(usual.unusual(f"m.{column}")) for column in (place.old, place.new))
        asked = f"SELECT EXISTS (SELECT 1 FROM {place.merge} AS m WHERE {strange})"  # noqa: S608 - quoted names
        spelling = "any" if rows.scalar(asked.replace("%", "%%")) else "usual"
    return PostgresqlGuardScript(place, usual if spelling == "usual" else PostgresqlKeys(merge, "any"))


class PostgresqlGuardScript:
    """The function and the triggers on one table."""

    def __init__(self, place: GuardPlace, keys: GuardKeys) -> None:
        self.place = place
        self.keys = keys
        self.function = f"{_quoted(place.schema or 'public')}.{_quoted(self.function_name)}"

    @property
    def function_name(self) -> str:
        """The plain name of the function."""
        return f"{self.place.stem}_check"

    def create_table(self) -> Sequence[str]:
        """Return the statements that make the guard's table and its row."""
        guard = self.place.guard
        return (
            f"CREATE TABLE IF NOT EXISTS {guard} (id integer NOT NULL PRIMARY KEY, turn bigint NOT NULL)",
            # Each merge writes it once: with room on its page the old versions go without a vacuum.
            f"ALTER TABLE {guard} SET (fillfactor = 10)",
            f"INSERT INTO {guard} (id, turn) VALUES (1, 0) ON CONFLICT DO NOTHING",  # noqa: S608 - quoted names
        )

    def triggers(self) -> dict[str, str]:
        """Return by name what the catalogue says of both triggers, and the text of their function."""
        return {
            self.function_name: self._body(),
            **{name: self._catalogued(event) for event, name in self._names().items()},
        }

    def create_triggers(self) -> Sequence[str]:
        """Return the statements that bring the function and both triggers to this text."""
        body = self._body()
        function = (
            f"CREATE OR REPLACE FUNCTION {self.function}() RETURNS trigger LANGUAGE plpgsql VOLATILE SECURITY DEFINER\n"
            f"SET search_path = pg_catalog, pg_temp AS $mergeguard${body}$mergeguard$"
        )
        closed = f"REVOKE ALL ON FUNCTION {self.function}() FROM PUBLIC"
        triggers = [
            f"CREATE TRIGGER {_quoted(name)} {self._definition(event)}" for event, name in self._names().items()
        ]
        return (*self._drop_triggers(), function, closed, *triggers)

    def drop_triggers(self) -> Sequence[str]:
        """Return the statements that take the triggers and their function away."""
        return (*self._drop_triggers(), f"DROP FUNCTION IF EXISTS {self.function}()")

    def _drop_triggers(self) -> tuple[str, ...]:
        return tuple(f"DROP TRIGGER IF EXISTS {_quoted(name)} ON {self.place.merge}" for name in self._names().values())

    def _names(self) -> dict[str, str]:
        return {event: f"{self.place.stem}_{event.lower()}" for event in ("INSERT", "UPDATE")}

    def _definition(self, event: str) -> str:
        before = f" OLD TABLE AS {BEFORE}" if event == "UPDATE" else ""
        return (
            f"AFTER {event} ON {self.place.merge} REFERENCING{before} NEW TABLE AS {ROWS} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {self.function}()"
        )

    @staticmethod
    def _catalogued(event: str) -> str:
        """Return what ``_CATALOGUE`` says of a trigger as this class makes it."""
        return f"{event} {BEFORE if event == 'UPDATE' else ''} {ROWS}"

    def found(self, rows: DatabaseRows) -> Found:
        """Look the guard up in the catalogue."""
        function = f"{self.function}()"
        texts, disabled, elsewhere = {}, [], []
        for source, as_made in rows.tuples(_FUNCTION, [function]):
            texts[self.function_name] = source if as_made else f"{source} (altered)"
        for name, enabled, definition, table, here in rows.tuples(_CATALOGUE, [self.place.merge, function]):
            if not here:
                elsewhere.append(table)
                continue
            texts[name] = definition
            if enabled not in _ENABLED:
                disabled.append(name)
        return Found(texts, tuple(disabled), tuple(elsewhere))

    def has_row(self, rows: DatabaseRows) -> bool | None:
        """Look for the guard's row, where this login may."""
        guard = self.place.guard
        if not rows.scalar("SELECT has_table_privilege(to_regclass(%s), 'SELECT')", [guard]):
            return None
        return bool(rows.tuples(f"SELECT id FROM {guard.replace('%', '%%')} WHERE id = 1"))  # noqa: S608 - quoted names

    def _body(self) -> str:
        place, keys = self.place, self.keys
        old, new = f"m.{place.old}", f"m.{place.new}"
        unusual = [condition for cell in (old, new) if (condition := keys.unusual(cell)) is not None]
        known = {
            "header": place.header(keys.spelling),
            "type": place.key_type,
            "restoring": RESTORING,
            "guard": place.guard,
            "merge": place.merge,
            "rows": ROWS,
            "before": BEFORE,
            "key_old": keys.old(old),
            "key_new": keys.new(new),
            "finds": keys.finds(old, "e.k_old"),
            "steps": keys.finds(old, "walk.k"),
            "no_row": _raise("no-guard-row"),
            "self_merge": _raise("self-merge", "olds[1]", "news[1]"),
            "conflict": _raise("conflict", "olds[1]", "news[1]"),
            "cycle": _raise("cycle", "olds[1]", "news[1]"),
            "spelling": "" if not unusual else _SPELLING.format(
                rows=ROWS, unusual=" OR ".join(unusual), refuse=_raise("spelling")
            ),
        }  # fmt: skip
        return _BODY.format(**known)


def _raise(reason: Reason, *guids: str) -> str:
    """Refuse as a CHECK would, so that every program knows this kind of error."""
    text = refusal(reason).replace("'", "''").replace("%", "%%")
    pair = " (% -> %)" if guids else ""
    given = "".join(f", {guid}" for guid in guids)
    return (
        f"RAISE EXCEPTION '{text}{pair}'{given}\n"
        f"            USING ERRCODE = '{_CHECK_VIOLATION}', CONSTRAINT = 'mergeguard {reason}';"
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


_SPELLING = """
    IF EXISTS (SELECT 1 FROM {rows} AS m WHERE {unusual}) THEN
        {refuse}
    END IF;"""
_BODY = """
-- {header}
DECLARE
    olds {type}[];
    news {type}[];
    counts bigint[];
    olds_left {type}[];
    news_left {type}[];
BEGIN
    -- Set by a repair or an undo of MergeGuard, which may put a damaged row back; no security boundary.
    IF current_setting('{restoring}', true) = 'on' THEN
        RETURN NULL;
    END IF;{spelling}
    -- The merges of this statement, each once, with the number of rows that say it.
    IF TG_OP = 'INSERT' THEN
        SELECT array_agg(e.k_old), array_agg(e.k_new), array_agg(e.times) INTO olds, news, counts
        FROM (SELECT {key_old} AS k_old, {key_new} AS k_new, count(*) AS times FROM {rows} AS m GROUP BY 1, 2) AS e
        WHERE e.k_old IS NOT NULL AND e.k_new IS NOT NULL;
    ELSE
        SELECT array_agg(e.k_old), array_agg(e.k_new), array_agg(e.times) INTO olds, news, counts
        FROM (SELECT {key_old} AS k_old, {key_new} AS k_new, count(*) AS times FROM {rows} AS m GROUP BY 1, 2) AS e
        LEFT JOIN (SELECT DISTINCT {key_old} AS k_old, {key_new} AS k_new FROM {before} AS m) AS b
            ON b.k_old = e.k_old AND b.k_new = e.k_new
        WHERE e.k_old IS NOT NULL AND e.k_new IS NOT NULL AND b.k_old IS NULL;
    END IF;
    IF olds IS NULL THEN
        RETURN NULL;
    END IF;
    -- Written, not only locked: who has an older snapshot fails here, who has none waits here.
    UPDATE {guard} SET turn = turn + 1 WHERE id = 1;
    IF NOT FOUND THEN
        {no_row}
    END IF;
    -- A merge that other rows said before adds nothing, whatever is wrong with it.
    SELECT array_agg(e.k_old), array_agg(e.k_new) INTO olds, news
    FROM unnest(olds, news, counts) AS e (k_old, k_new, times)
    WHERE (SELECT count(*) FROM {merge} AS m WHERE {finds} AND {key_new} = e.k_new) = e.times;
    IF olds IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT array_agg(e.k_old), array_agg(e.k_new) INTO olds_left, news_left
    FROM unnest(olds, news) AS e (k_old, k_new) WHERE e.k_old = e.k_new;
    IF olds_left IS NOT NULL THEN
        olds := olds_left;
        news := news_left;
        {self_merge}
    END IF;
    SELECT array_agg(e.k_old), array_agg(e.k_new) INTO olds_left, news_left
    FROM unnest(olds, news) AS e (k_old, k_new)
    WHERE EXISTS (SELECT 1 FROM {merge} AS m WHERE {finds} AND {key_new} <> e.k_new);
    IF olds_left IS NOT NULL THEN
        olds := olds_left;
        news := news_left;
        {conflict}
    END IF;
    -- A new merge stands on a cycle only if its old is reached from the new of one. Those that are not reached are left
    -- out, until none is left or all are reached: then there is a cycle, and a new merge on it.
    LOOP
        WITH RECURSIVE walk (k) AS (
            SELECT unnest(news)
            UNION
            -- OFFSET 0: an index lookup a step, where a join might read the whole table for each.
            SELECT s.k FROM walk
            CROSS JOIN LATERAL (SELECT {key_new} AS k FROM {merge} AS m WHERE {steps} OFFSET 0) AS s
        )
        SELECT array_agg(e.k_old), array_agg(e.k_new) INTO olds_left, news_left
        FROM unnest(olds, news) AS e (k_old, k_new) WHERE e.k_old IN (SELECT walk.k FROM walk);
        EXIT WHEN olds_left IS NULL;
        IF cardinality(olds_left) = cardinality(olds) THEN
            {cycle}
        END IF;
        olds := olds_left;
        news := news_left;
    END LOOP;
    RETURN NULL;
END
"""
