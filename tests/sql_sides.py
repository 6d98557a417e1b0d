"""Two schemas with the same tables, one merged by Python and the other by SQL."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import psycopg
import sqlalchemy as sa
from merging_world import COLUMNS, World
from sql_world import ask, install, opened, plain, reason_of

from mergeguard.errors import MergeRefused
from mergeguard.resources.merge import open_merges, preview_merge
from mergeguard.resources.merged import answer_of, merged_of
from mergeguard.storage.profile import Profile

OURS = ("lookup", "change", "step", "run", "root", "never", "request")
PREVIEWED = ("old_root", "new_root", "already", "lookup_rows", "live_rows", "hashes_cleared", "columns", "preview")
MASKED = {"Id", "MergedAt"}
_EXTRA = "SELECT tablename FROM pg_tables WHERE schemaname = %s ORDER BY 1"


class Side:
    """One schema, merged in by one of the two."""

    def __init__(self, url: str, schema: str, profile: Profile, more: str = "") -> None:
        ask(url, f"CREATE SCHEMA {schema}")
        self.url = f"{url}?options=-csearch_path%3D{schema}"
        self.world = World(self.url)
        self.world.engine = sa.create_engine(self.url)  # its own keeps no connection
        self.profile = profile
        if more:
            ask(self.url, more)
        self.extra = [name for (name,) in ask(self.url, _EXTRA, [schema]) if name not in COLUMNS]
        install(self.url, profile)
        self.connection = psycopg.connect(plain(self.url), autocommit=True)
        self.opened = ExitStack()
        source = self.opened.enter_context(opened(self.url, profile))
        self.merges = self.opened.enter_context(open_merges(source, profile))

    def close(self) -> None:
        self.opened.close()
        self.connection.close()
        self.world.engine.dispose()

    def begin(self, case: Start) -> None:
        tables = [*COLUMNS, *self.extra, *(f"mergeguard_{name}" for name in OURS)]
        listed = ", ".join(f'"{name}"' for name in tables)
        self.connection.execute(f"TRUNCATE {listed} RESTART IDENTITY")
        for table, rows in case.rows.items():
            if table in COLUMNS:
                self.world.insert(table, rows)
            elif rows:
                marks = ", ".join(["%s"] * len(rows[0]))
                with self.connection.cursor() as cursor:
                    cursor.executemany(f'INSERT INTO "{table}" VALUES ({marks})', rows)
        with self.connection.cursor() as cursor:
            cursor.executemany("INSERT INTO mergeguard_lookup VALUES (%s, %s, %s, %s)", case.lookup)
            cursor.executemany("INSERT INTO mergeguard_never VALUES (%s, %s, 'me', 'twins')", case.never)

    def python(self, old: uuid.UUID, new: uuid.UUID, request: str | None = None) -> Any:
        try:
            return seen(json.loads(answer_of(self.merges.merge(old, new, request_id=request, key="k"))))
        except MergeRefused as refused:
            return refused.reason

    def sql(self, old: uuid.UUID, new: uuid.UUID, request: str | None = None) -> Any:
        try:
            ((answer,),) = self.connection.execute(
                "SELECT mergeguard.merge(%s, %s, %s, 'k')", [old, new, request]
            ).fetchall()
        except psycopg.errors.RaiseException as refused:
            return reason_of(refused)
        assert merged_of(json.dumps(answer)).old == old, "as the answer of a request Python can read it"
        return seen(answer)

    def python_preview(self, old: uuid.UUID, new: uuid.UUID) -> Any:
        """What Python says a merge would do."""
        with opened(self.url, self.profile) as source:
            found = preview_merge(source, self.profile, old, new)
        document = json.loads(answer_of(found))
        if found.refused is not None:
            return found.refused.reason
        return {name: document[name] for name in PREVIEWED}

    def sql_preview(self, old: uuid.UUID, new: uuid.UUID) -> Any:
        """What SQL says, which must write nothing to say it."""
        with self.connection.transaction():
            self.connection.execute("SET TRANSACTION READ ONLY")
            ((found,),) = self.connection.execute("SELECT mergeguard.preview(%s, %s)", [old, new]).fetchall()
        return found["refused"]["reason"] if found["refused"] else {name: found[name] for name in PREVIEWED}

    def picture(self) -> Mapping[str, Any]:
        """All tables, without the numbers and times of what was merged."""
        found = dict(self.world.picture())
        found["Merges"] = sorted((old, new, key, time is not None) for _, old, new, time, key in found["Merges"])
        asked = {name: f'SELECT * FROM "{name}"' for name in self.extra}
        asked |= {
            "roots": "SELECT guid, turn FROM mergeguard_root",
            "requests": "SELECT request_id, run_id <> '' FROM mergeguard_request",
            "runs": "SELECT kind, undoes, finished IS NOT NULL, reason FROM mergeguard_run",
            "steps": "SELECT step, component, kinds, members, survivor, confidence, why, evidence::jsonb::text, "
            "undone_by IS NULL FROM mergeguard_step",
        }
        for name, sql in asked.items():
            found[name] = sorted(self.connection.execute(sql).fetchall(), key=repr)
        sql = "SELECT action, table_name, before_image, after_image FROM mergeguard_change"
        changes = self.connection.execute(sql).fetchall()
        found["changes"] = sorted((*row[:2], *map(_image, row[2:])) for row in changes)
        return found


@dataclass(frozen=True)
class Start:
    """Rows of the vendor's tables, the lookup and the pairs that must not be merged."""

    rows: Mapping[str, Sequence[Sequence[object]]]
    lookup: Sequence[Sequence[object]]
    never: Sequence[tuple[uuid.UUID, uuid.UUID]]


def seen(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without ids and times, and without what only a program with its own eyes on the guard can say."""
    row = answer.pop("row", None)
    answer.pop("guard", None)
    return {
        **answer,
        "run_id": bool(answer["run_id"]),
        "row": row and [row["OldGuid"], row["NewGuid"], row["MergeKey"]],
    }


def _image(text: str | None) -> str:
    if text is None:
        return ""
    assert text.isascii()
    image = json.loads(text)
    return repr({name: None if name in MASKED and "OldGuid" in image else cell for name, cell in image.items()})
