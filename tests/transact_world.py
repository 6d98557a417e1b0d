"""A case of merges as the views of ``sql/mssql`` show it, as tables of PostgreSQL; see ``transact_sql``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from rule_model import Case
from transact_words import SCHEMA

from mergeguard.core.guids import TOMBSTONE

TABLES = {
    "merge_rows": "row_id text, old_guid uuid, new_guid uuid, old_text text, new_text text, merged_at timestamp",
    "live_guids": "guid uuid",
    "guid_types": "guid uuid, type text",
    "reference_guids": "reference text, guid uuid",
    "moving_guids": "reference text, guid uuid",
    "declared": "live smallint, types smallint, times smallint, refs smallint, deleted smallint",
    "lookup_rows": "old_guid uuid, current_guid uuid, depth int, status text",
    "roots": "guid uuid PRIMARY KEY, turn bigint",
    "never_pairs": "one_guid uuid, other_guid uuid, who text, why text",
    "written_tables": "part text, rows_name text, table_name text, guid_name text, new_name text",
    "requests": "request_id text PRIMARY KEY, run_id text, answer text",
}
FUNCTIONS = """
CREATE FUNCTION transact.try_uuid(said text) RETURNS uuid LANGUAGE sql AS
$$ SELECT CASE WHEN said ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN CAST(said AS uuid) END $$;
CREATE FUNCTION transact.guid_text(g uuid) RETURNS text LANGUAGE sql AS $$ SELECT CAST(g AS text) $$;
CREATE FUNCTION transact.smaller(a uuid, b uuid) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT LEAST(a, b) $$;
CREATE FUNCTION transact.greater(a uuid, b uuid) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT GREATEST(a, b) $$;
CREATE AGGREGATE transact.min(uuid) (sfunc = transact.smaller, stype = uuid);
CREATE AGGREGATE transact.max(uuid) (sfunc = transact.greater, stype = uuid);
CREATE FUNCTION transact.moment(at timestamp) RETURNS text LANGUAGE sql AS
$$ SELECT to_char(at, 'YYYY-MM-DD HH24:MI:SS') $$;
CREATE OPERATOR transact.+ (leftarg = text, rightarg = text, function = pg_catalog.textcat);
CREATE FUNCTION transact.json_at(said text, path text) RETURNS text LANGUAGE sql AS
$$ SELECT CAST(said AS json) ->> substr(path, 3) $$;
CREATE FUNCTION transact.json_text(said text) RETURNS text LANGUAGE sql AS
$$ SELECT coalesce(CAST(to_json(said) AS text), 'null') $$;
CREATE FUNCTION transact.object_id(name text, kind text) RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;
CREATE FUNCTION transact.object_id(name text) RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;
CREATE FUNCTION transact.col_name(place int, number int) RETURNS text LANGUAGE sql AS $$ SELECT 'NewGuid' $$;
CREATE TABLE sys.synonyms AS SELECT 1 AS object_id, 'merges' AS base_object_name;
CREATE TABLE sys.indexes AS SELECT 1 AS object_id, 1 AS index_id, 0 AS is_disabled, 0 AS has_filter;
CREATE FUNCTION transact.space(many int) RETURNS text LANGUAGE sql AS $$ SELECT repeat(' ', many) $$;
CREATE FUNCTION transact.datalength(said text) RETURNS int LANGUAGE sql AS $$ SELECT 2 * length(said) $$;
CREATE FUNCTION transact.type_name(kind int) RETURNS text LANGUAGE sql AS
$$ SELECT CASE kind WHEN 36 THEN 'uniqueidentifier' ELSE 'char' END $$;
CREATE TABLE sys.sql_expression_dependencies AS
SELECT 1 AS referencing_id, 1 AS referenced_id, 0 AS referenced_minor_id;
CREATE TABLE sys.columns AS
SELECT 1 AS object_id, 'old' AS name, 36 AS system_type_id UNION ALL SELECT 1, 'new', 36;
CREATE TABLE sys.index_columns AS SELECT 1 AS object_id, 1 AS index_id, 1 AS column_id, 1 AS key_ordinal;
"""


def make(connection: psycopg.Connection, case: Case) -> None:
    """Make the tables of a case in the open transaction."""
    connection.rollback()  # what another example left
    connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    connection.execute(f"DROP SCHEMA IF EXISTS sys CASCADE; CREATE SCHEMA {SCHEMA}; CREATE SCHEMA sys")
    connection.execute(f"SET LOCAL search_path = {SCHEMA}, public")
    for name, columns in TABLES.items():
        connection.execute(f"CREATE TABLE {SCHEMA}.{name} ({columns})")
    connection.execute(FUNCTIONS)
    times = case.times or (None,) * len(case.pairs)
    _fill(
        connection,
        "merge_rows",
        [
            (
                str(number),
                old,
                new,
                str(old),
                None if new == TOMBSTONE else str(new),
                time and time.replace(tzinfo=None),
            )
            for number, (old, new), time in zip(case.row_ids, case.pairs, times, strict=True)
        ],
    )
    _fill(connection, "live_guids", [(guid,) for guid in case.live or ()])
    _fill(connection, "guid_types", list(case.types or ()))
    counted = [
        (name, guid) for name, counts in (case.references or {}).items() for guid, n in counts.items() for _ in range(n)
    ]
    _fill(connection, "reference_guids", counted)
    _fill(connection, "moving_guids", counted)
    _fill(connection, "written_tables", [("merge", "merges", "Merges", "OldGuid", "NewGuid")])
    parts = (case.live, case.types, case.times, case.references)
    _fill(connection, "declared", [(*(int(part is not None) for part in parts), 1)])
    _fill(connection, "lookup_rows", list(case.stored or ()))


def _fill(connection: psycopg.Connection, table: str, rows: list) -> None:
    if rows:
        marks = ", ".join(["%s"] * len(rows[0]))
        connection.cursor().executemany(f"INSERT INTO {SCHEMA}.{table} VALUES ({marks})", rows)


def ask(connection: psycopg.Connection, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
    """Run a statement in the open transaction; return its rows."""
    cursor = connection.execute(sql.encode(), values or None)
    return cursor.fetchall() if cursor.description else []
