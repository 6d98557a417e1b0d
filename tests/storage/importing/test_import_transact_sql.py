"""What importers send to SQL Server is parsed by Microsoft's own grammar, as the modules really build it."""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
import sys
import uuid
from collections.abc import Sequence
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, cast

import pytest
from import_places import COMPUTER, ENTRIES, EVENTS, EVERYTHING, OWNER, named

from mergeguard.core.importing.standing import Linked
from mergeguard.core.nse.message import Key
from mergeguard.errors import Locked
from mergeguard.storage.importing.making import CatalogueAdded, statements
from mergeguard.storage.importing.mssql import ROWS_AT_ONCE, MssqlImportStore
from mergeguard.storage.importing.purging import purge
from mergeguard.storage.importing.reading import read_entries
from mergeguard.storage.importing.spelling import MSSQL
from mergeguard.storage.importing.store import ImportTransaction
from mergeguard.storage.queue.mssql_lists import PARAMETERS

GUIDS = [named(f"guid {number}") for number in range(3)]
ROW = ("k", *[None] * 6)
SOURCE = SimpleNamespace(
    kind="mssql",
    info=SimpleNamespace(target="server"),
    options=SimpleNamespace(lock_timeout=1.5),
    translated=lambda **_: nullcontext(),
)


class Answering(MssqlImportStore):
    """Notes statements instead of sending them, and gives one answer to each."""

    def __init__(self, *answers: Sequence[Any]) -> None:
        super().__init__(cast("Any", SOURCE))
        self.sent: list[tuple[str, Sequence[Any]]] = []
        self._answers = list(answers)

    def ask(self, connection: object, sql: str, values: Sequence[Any] = ()) -> Sequence[Sequence[Any]]:  # noqa: ARG002
        self.sent.append((sql, values))
        return self._answers.pop(0) if self._answers else []


class Noting:
    """A batch that notes what is added."""

    connection = None

    def __init__(self, store: Answering) -> None:
        self._store = store

    def add(self, statement: str, row: Sequence[Any] = ()) -> None:
        self._store.sent.append((statement, row))


def everything(store: Answering) -> list[tuple[str, Sequence[Any]]]:
    """All that can be sent, but for what merges share with importers."""
    transaction: ImportTransaction = store.within(cast("Any", Noting(store)))
    pairs = [(EVERYTHING.guid, guid) for guid in GUIDS]
    transaction.owners([Key("fqdn", "pc")])
    transaction.standings(GUIDS)
    transaction.summaries(pairs)
    transaction.linked([(OWNER, guid) for guid in GUIDS])
    transaction.create(GUIDS[0], COMPUTER, "pc", managed=True)
    transaction.activate(GUIDS[0])
    transaction.add_keys(GUIDS[0], [Key("fqdn", "pc"), Key("fqdn", "other")])
    transaction.replace_rows(EVERYTHING, GUIDS[0], [ROW] * 90)
    transaction.append_rows(EVENTS, GUIDS[0], [("user", None)], dt.datetime.now(dt.UTC))
    transaction.update_rows(EVERYTHING, GUIDS[0], [{"Key": "k", "Count": 1}, {"Key": "l"}])
    transaction.summarise(EVERYTHING, GUIDS[0], 1, "a" * 32, 5)
    transaction.summarise(EVERYTHING, GUIDS[0], None, None, 5)
    transaction.confirm(pairs, 6)
    transaction.link([Linked(OWNER, GUIDS[0], GUIDS[1], 3)])
    transaction.unlink([Linked(OWNER, GUIDS[0], GUIDS[1], 3)])
    read_entries(lambda sql: store.ask(None, sql), MSSQL)
    added = CatalogueAdded(ENTRIES.types, ENTRIES.associations, ENTRIES.classes, (EVENTS,))
    return [*store.sent, *statements(MSSQL, added)]


def parse(sql: str) -> subprocess.CompletedProcess[str]:
    maxdop = shutil.which("maxdop", path=sys.executable.rpartition("/")[0]) or shutil.which("maxdop")
    assert maxdop is not None, "pip install maxdop"
    command = [maxdop, "--parser-version", "2012"]
    return subprocess.run(
        command, input=sql.replace("?", "@p"), capture_output=True, text=True, check=False, timeout=60
    )


def test_every_statement_parses_as_transact_sql() -> None:
    sent = everything(Answering())
    keys = Answering([(0,)])
    keys.within(cast("Any", Noting(keys))).hold_keys([Key("fqdn", "pc"), Key("fqdn", "other")])
    purged = Answering([("Evt_Log_on", 3, 5)], [(2,)], [(9,)], [(4,)])
    assert purge(lambda sql, values: purged.ask(None, sql, values), MSSQL, 100) == 6
    written = [sql for sql, _ in (*sent, *keys.sent, *purged.sent)]
    assert len(written) > 45
    if parse("\nGO\n".join(written)).returncode != 0:
        broken = {sql: said for sql in written if (said := parse(sql).stderr)}
        pytest.fail("\n\n".join(f"{said}{sql}" for sql, said in broken.items()))


def test_every_mark_has_its_value() -> None:
    for sql, values in everything(Answering()):
        assert sql.replace('a "column" % ?', "").count("?") == len(values), sql


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 1000])
def test_rows_go_many_at_a_time(count: int) -> None:
    store = Answering()
    transaction = store.within(cast("Any", Noting(store)))
    rows = [(f"k{number}", *[None] * 6) for number in range(count)]
    transaction.replace_rows(EVERYTHING, GUIDS[0], rows)
    (delete, _), *inserts = store.sent
    assert delete.startswith("DELETE")
    keys = [value for _, values in inserts for value in values[1::8]]
    assert keys == [row[0] for row in rows]
    assert {len(values) // 8 for _, values in inserts} <= set(ROWS_AT_ONCE)
    assert all(len(values) <= PARAMETERS for _, values in inserts)


def test_what_was_made_to_be_locked_was_never_loaded() -> None:
    pair, other = (EVERYTHING.guid, GUIDS[0]), (EVERYTHING.guid, GUIDS[1])
    first = [(str(pair[0]).upper(), str(pair[1]).upper(), None, None, 0)]
    second = [(str(other[0]), str(other[1]), "a" * 32, 3, 1)]
    store = Answering(first, [], second)
    found = store.within(cast("Any", Noting(store))).summaries([pair, other])
    assert {known: (one.hash, one.event) for known, one in found.items()} == {other: ("a" * 32, 3)}
    assert [sql.split()[0] for sql, _ in store.sent] == ["SELECT", "INSERT", "SELECT"]


def test_a_key_that_is_held_for_too_long_is_told() -> None:
    store = Answering([(-1,)])
    with pytest.raises(Locked, match="the same keys"):
        store.within(cast("Any", Noting(store))).hold_keys([Key("fqdn", "pc")])
    ((_, values),) = store.sent
    assert values[1] == 1500


def test_a_walk_of_many_guids_is_cut() -> None:
    store = Answering()
    guids = [uuid.uuid4() for _ in range(PARAMETERS + 1)]
    assert len(store.standings(cast("Any", None), guids)) == len(guids)
    assert [len(values) for _, values in store.sent] == [PARAMETERS, 1]
