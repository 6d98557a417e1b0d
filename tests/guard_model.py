"""What a guard must do, by networkx; and a database with a guard on it."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import networkx as nx
import sqlalchemy as sa

from mergeguard.integrity.guard import install_guard
from mergeguard.storage.guard.parts import RESTORING, RESTORING_ID
from mergeguard.storage.profile import Merge, Merging, Profile
from mergeguard.storage.source import Options, Source
from mergeguard.storage.targets import open_target

Pair: TypeAlias = tuple[uuid.UUID, uuid.UUID]
TYPES = {"sqlite": "varchar(50)", "postgresql": "uuid"}
GUIDS = [uuid.uuid5(uuid.NAMESPACE_OID, f"guarded {number}") for number in range(6)]


def refusals(before: Iterable[Pair], after: Iterable[Pair]) -> set[str]:
    """Why a write that turns ``before`` into ``after`` must be refused; nothing where it must not."""
    graph = nx.DiGraph(list(after))
    found = set()
    for old, new in set(graph.edges) - set(before):
        if old == new:
            found.add("self-merge")
        if graph.out_degree(old) > 1:
            found.add("conflict")
        if old != new and nx.has_path(graph, new, old):
            found.add("cycle")
    return found


def row_by_row(before: Sequence[Pair], changes: Sequence[tuple[int, Pair]]) -> set[str]:
    """Why a write is refused that is looked at after each row: SQLite's way. The first reasons that there are."""
    rows = list(before)
    for place, pair in changes:
        after = [*rows[:place], pair, *rows[place + 1 :]]
        if found := refusals(rows, after):
            return found
        rows = after
    return set()


@dataclass
class Guarded:
    """A table of merges of its own, with a guard; ``Id`` numbers its rows from 0."""

    url: str
    table: str = field(default_factory=lambda: f"M {secrets.token_hex(3)}")
    guid_type: str | None = None

    def __post_init__(self) -> None:
        self.kind = self.url.partition(":")[0].partition("+")[0]
        self.engine = sa.create_engine(self.url, poolclass=sa.pool.NullPool)
        mark = self.table.rpartition(" ")[2]
        self.guard = f"guard_{mark}"
        self.profile = Profile(
            merge=Merge(self.table, "Old", "New", "Id", deleted_values=("",)), merging=Merging(guard=self.guard)
        )
        kind = self.guid_type or TYPES[self.kind]
        self.run(f'CREATE TABLE "{self.table}" ("Id" integer PRIMARY KEY, "Old" {kind}, "New" {kind}, "Note" integer)')
        self.run(f'CREATE INDEX "ix {mark}" ON "{self.table}" ("Old")')

    def install(self) -> None:
        with self.opened() as source:
            install_guard(source, self.profile)

    @contextmanager
    def opened(self, url: str | None = None, options: Options | None = None) -> Iterator[Source]:
        source = open_target(url or self.url, self.profile, options or Options(lock_timeout=20))
        try:
            yield source
        finally:
            source.close()

    def run(self, *statements: str) -> None:
        with self.engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def put(self, pairs: Sequence[tuple[Any, Any]]) -> None:
        """Fill the table, past the guard where there is one."""
        rows = [{"id": number, "old": old, "new": new} for number, (old, new) in enumerate(pairs)]
        with self.engine.begin() as connection:
            has_guard = sa.inspect(connection).has_table(self.guard)
            if self.kind == "postgresql":
                connection.exec_driver_sql(f"SET LOCAL {RESTORING} = 'on'")
            elif has_guard:
                connection.exec_driver_sql(f'INSERT INTO "{self.guard}" VALUES ({RESTORING_ID}, 0)')
            connection.exec_driver_sql(f'DELETE FROM "{self.table}"')
            if rows:
                connection.execute(sa.text(f'INSERT INTO "{self.table}" VALUES (:id, :old, :new, 0)'), rows)
            if self.kind == "sqlite" and has_guard:
                connection.exec_driver_sql(f'DELETE FROM "{self.guard}" WHERE id = {RESTORING_ID}')

    def insert(self, first: int, pairs: Sequence[tuple[Any, Any]]) -> None:
        """Insert some merges with one statement."""
        values = {f"o{at}": pair[0] for at, pair in enumerate(pairs)} | {
            f"n{at}": new for at, (_, new) in enumerate(pairs)
        }
        marks = ", ".join(f"({first + at}, :o{at}, :n{at}, 0)" for at in range(len(pairs)))
        with self.engine.begin() as connection:
            connection.execute(sa.text(f'INSERT INTO "{self.table}" VALUES {marks}'), values)

    def update(self, changes: Sequence[tuple[int, tuple[Any, Any]]]) -> None:
        """Rewrite some rows with one statement."""
        values = {f"o{at}": old for at, (_, (old, _)) in enumerate(changes)}
        values |= {f"n{at}": new for at, (_, (_, new)) in enumerate(changes)}
        cast = f"CAST({{}} AS {self.guid_type or TYPES[self.kind]})" if self.kind == "postgresql" else "{}"
        olds = " ".join(f"WHEN {place} THEN {cast.format(f':o{at}')}" for at, (place, _) in enumerate(changes))
        news = " ".join(f"WHEN {place} THEN {cast.format(f':n{at}')}" for at, (place, _) in enumerate(changes))
        places = ", ".join(str(place) for place, _ in changes)
        sql = (
            f'UPDATE "{self.table}" SET "Old" = CASE "Id" {olds} END, "New" = CASE "Id" {news} END '
            f'WHERE "Id" IN ({places})'
        )
        with self.engine.begin() as connection:
            connection.execute(sa.text(sql), values)

    def rows(self) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(f'SELECT * FROM "{self.table}" ORDER BY "Id"')]

    def status_problems(self) -> tuple[str, ...]:
        from mergeguard.integrity.guard import guard_status  # noqa: PLC0415 - beside its use

        with self.opened() as source:
            return guard_status(source, self.profile).problems


def reason(error: sa.exc.DBAPIError) -> str:
    """The word behind ``mergeguard:`` in what a database said."""
    return str(error.orig).partition("mergeguard: ")[2].partition(":")[0]
