"""Stale references in real databases: what a dictionary says, nothing else, and all of it taken back."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from merge_model import guid
from stale_case import (
    COLUMNS,
    EVT_CLASS,
    GUID_COLUMNS,
    Expected,
    Row,
    StaleCase,
    contents,
    create,
    currents,
    expected,
    fill,
    stale_cases,
)

from mergeguard.core.guids import parse
from mergeguard.core.repair.plan import Step
from mergeguard.core.repair.reference_steps import total
from mergeguard.core.repair.references import Fate
from mergeguard.integrity.reading import read_facts
from mergeguard.integrity.stale import StaleReferences, stale_references
from mergeguard.storage.targets import open_target

KINDS = ["sqlite text", "sqlite blob", "postgresql uuid", "postgresql text"]
TYPES = {"text": "varchar(40)", "blob": "blob", "uuid": "uuid"}
EACH = settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Database:
    """A place for cases, with guids of one type."""

    def __init__(self, url: str, stored: str) -> None:
        self.url, self.stored = url, stored
        self.engine = sa.create_engine(url)
        create(self.engine, TYPES[stored])

    def spell(self, one: uuid.UUID) -> object:
        if self.stored == "text":
            return (str(one), str(one).upper(), f"{{{one}}}", one.hex)[one.int % 4]
        return one.bytes if self.stored == "blob" else one

    def fill(self, case: StaleCase) -> None:
        fill(self.engine, case, self.spell)

    def found(self, case: StaleCase) -> StaleReferences:
        source = open_target(self.url, case.profile)
        try:
            with source.snapshot() as snapshot:
                facts = read_facts(snapshot, case.profile, needs=()).facts
                return stale_references(snapshot, source.rows(snapshot), case.profile, facts)
        finally:
            source.close()

    def apply(self, case: StaleCase, steps: Sequence[Step], *, back: bool = False) -> None:
        source = open_target(self.url, case.profile)
        try:
            with source.writing() as writing:
                for step in reversed(steps) if back else steps:
                    with writing.transaction() as rows:
                        changes = step.changes
                        rows.change([one.reversed() for one in reversed(changes)] if back else changes)
        finally:
            source.close()

    def holds(self) -> Expected:
        """What stands in the tables, guids read in whatever spelling."""
        rows = {table: [_plain(table, row) for row in found] for table, found in contents(self.engine).items()}
        return Expected(
            Counter(row[:3] for row in rows["Links"]),
            Counter(row[1:] for row in rows["Inv"]),
            Counter(row[1:] for row in rows["Evt"]),
            {(row[0], row[1]): row[2] for row in rows["Summary"]},  # type: ignore[misc]
        )


def _plain(table: str, row: Row) -> Row:
    return tuple(parse(cell) if name in GUID_COLUMNS else cell for name, cell in zip(COLUMNS[table], row, strict=True))


@pytest.fixture(scope="module", params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    kind, stored = request.param.split()
    file = tmp_path_factory.mktemp("stale") / "case.db"
    made = Database(f"sqlite:///{file}" if kind == "sqlite" else request.getfixturevalue("postgres_url"), stored)
    yield made
    made.engine.dispose()


CLASS_AS_STORED = StaleCase([(guid(1), guid(2))], events=[(guid(1), "e")], summaries={(EVT_CLASS, guid(2)): "0123"})
"""The profile names the class by its guid's text, and the table of hashes holds it as whatever guids are stored as."""


@EACH
@given(case=stale_cases())
@example(case=CLASS_AS_STORED)
def test_every_table_becomes_what_the_dictionary_says_and_goes_back(database: Database, case: StaleCase) -> None:
    database.fill(case)
    before = contents(database.engine)
    steps = database.found(case).steps
    accounted(case, steps)
    database.apply(case, steps)
    assert database.holds() == expected(case)
    assert database.found(case).steps == (), "a second time there is something left"
    database.apply(case, steps, back=True)
    assert contents(database.engine) == before, "taken back it is not what it was"


def accounted(case: StaleCase, steps: Sequence[Step]) -> None:
    """Rows in are rows changed, dropped and collapsed, by column."""
    counted, now = total(steps), currents(case)
    for column in ("Links.Parent", "Links.Child", "Inv.Guid", "Inv.Other", "Evt.Guid", "Summary.Guid"):
        table, _, name = column.partition(".")
        at = COLUMNS[table].index(name)
        there = sum(row[at] in now for row in case.tables[table])
        columns = counted.get(column, {"rows": 0})
        assert columns["rows"] == there
        assert sum(columns.get(fate.value, 0) for fate in Fate) == there


@EACH
@given(case=stale_cases(), random=st.randoms())
def test_the_order_of_the_rows_decides_nothing(database: Database, case: StaleCase, random: object) -> None:
    def shuffled(rows: Sequence[Row]) -> list[Row]:
        rows = list(rows)
        random.shuffle(rows)  # type: ignore[attr-defined]
        return rows

    other = StaleCase(
        case.pairs,
        case.live,
        shuffled(case.links),
        shuffled(case.inventory),
        shuffled(case.events),
        dict(shuffled(list(case.summaries.items()))),
    )  # type: ignore[arg-type]
    ends = []
    for each in (case, other):
        database.fill(each)
        steps = database.found(each).steps
        database.apply(each, steps)
        times = Counter(_plain("Links", row) for row in contents(database.engine)["Links"])
        ends.append((database.holds(), times, total(steps)))
    assert ends[0] == ends[1]
