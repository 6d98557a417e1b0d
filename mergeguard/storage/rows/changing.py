"""Changes rows: looks whether each is still what was seen, writes, and looks again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mergeguard.core.repair.plan import Image, RowChange
from mergeguard.errors import Stale, WriteFailed
from mergeguard.storage.database.stored_table import Address, Condition, StoredTable
from mergeguard.storage.rows import runs as row_runs
from mergeguard.storage.rows.runs import Run

if TYPE_CHECKING:
    from mergeguard.storage.rows.database import DatabaseRows


def change(rows: DatabaseRows, changes: Sequence[RowChange]) -> None:
    """Make the changes in their order; see ``DatabaseRows.change``."""
    for run in row_runs.runs(changes, rows.table):
        _refuse_other_columns(run)
        if run.kind == "insert":
            _insert(rows, run)
        elif run.kind == "update":
            _update(rows, run)
        else:
            _delete(rows, run)
            if run.kind == "replace":
                _insert(rows, run)


def _refuse_other_columns(run: Run) -> None:
    """Refuse images that do not have the columns that the table has now.

    Raises:
        Stale: the table was altered since they were taken.
    """
    for image in (*run.befores, *run.afters):
        if not run.table.has_all(image):
            others = sorted(image.keys() ^ set(run.table.columns))
            name = run.table.shape.table
            raise Stale(
                f"table {name} has other columns than before",
                changed=tuple(f"{name}: column {column} was added, removed or altered" for column in others),
            )


def _delete(rows: DatabaseRows, run: Run) -> None:
    addresses = [run.table.address_of(image) for image in run.befores]
    gone = rows.take_out(run.table, addresses) if run.table.address else None
    if gone is not None:
        missing = [address for address in addresses if address not in gone]
        _compare(run, gone | (rows.standing(run.table, missing, locking=False) if missing else {}))
        _expect(run, len(addresses), len(gone))
        return
    places = _places(rows, run)
    if run.table.address:
        places = [run.table.at(some) for some in run.table.batches(addresses)]
    _expect(run, len(addresses), rows.send([run.table.delete(place) for place in places]))


def _update(rows: DatabaseRows, run: Run) -> None:
    if not run.columns:
        _places(rows, run)
        return
    pairs = zip(_places(rows, run), run.afters, strict=True)
    _expect(run, len(run.changes), rows.send([run.table.update(run.columns, after, place) for place, after in pairs]))
    _verify(rows, run.table, run.afters)


def _insert(rows: DatabaseRows, run: Run) -> None:
    table, images = run.table, run.afters
    if table.address:
        there = rows.standing(table, [table.address_of(image) for image in images], locking=True)
        if there:
            words = tuple(f"{row_runs.named(table, image)}: another row stands there now" for image in there.values())
            raise Stale(f"table {table.shape.table}: rows that are to be put back stand there", changed=words)
    _expect(run, len(images), rows.put_in(table, images))
    _verify(rows, table, images)


def _places(rows: DatabaseRows, run: Run) -> list[Condition]:
    """Find the rows that a run changes, and lock them where the database locks rows.

    Raises:
        Stale: one of them is gone or is not what it was.
    """
    table, befores = run.table, run.befores
    if not table.address:
        found = [rows.single(table, image) for image in befores]
        missing = [image for image, place in zip(befores, found, strict=True) if place is None]
        _refuse_stale(table, [f"{row_runs.named(table, image)}: is gone, or not what it was" for image in missing])
        return [place for place in found if place is not None]
    addresses = [table.address_of(image) for image in befores]
    _compare(run, rows.standing(table, addresses, locking=True))
    return [table.equal(table.address, address) for address in addresses]


def _compare(run: Run, there: Mapping[Address, Image]) -> None:
    """Compare rows as they stand with what they must be.

    Raises:
        Stale: one of them is gone or is not what it was.
    """
    table, words = run.table, []
    for before in run.befores:
        now = there.get(table.address_of(before))
        if now is None:
            words.append(f"{row_runs.named(table, before)}: is gone")
        elif now != before:
            words.append(row_runs.difference(table, before, now))
    _refuse_stale(table, words)


def _refuse_stale(table: StoredTable, words: Sequence[str]) -> None:
    if words:
        rest = f" (and {len(words) - 1} more)" if len(words) > 1 else ""
        raise Stale(f"table {table.shape.table} changed meanwhile: {words[0]}{rest}", changed=tuple(words))


def _expect(run: Run, wanted: int, changed: int) -> None:
    """Make sure that the database did what it was told: a trigger or a rule may turn a statement into nothing.

    Raises:
        WriteFailed: it changed more rows, or fewer.
    """
    if changed != wanted:
        raise WriteFailed(
            f"table {run.table.shape.table}: {wanted} rows were to change and the database changed {changed}",
            hint="look for triggers, rules or policies on the table; the transaction was rolled back",
        )


def _verify(rows: DatabaseRows, table: StoredTable, images: Sequence[Image]) -> None:
    """Make sure that the rows stand in the table as they were to be.

    Raises:
        WriteFailed: the database, or a trigger, made something else of one.
    """
    if table.address:
        there = rows.standing(table, [table.address_of(image) for image in images], locking=False)
        wrong = [image for image in images if there.get(table.address_of(image)) != image]
        now = there.get(table.address_of(wrong[0])) if wrong else None
    else:
        wrong, now = [image for image in images if rows.single(table, image) is None], None
    if wrong:
        said = f"{row_runs.named(table, wrong[0])}" if now is None else row_runs.difference(table, wrong[0], now)
        raise WriteFailed(
            f"table {table.shape.table}: the database stored something else than it was told: {said}",
            hint="look for triggers on the table; the transaction was rolled back",
        )
