"""What must hold of the queue after each death: looked at in a copy, so that looking does not repair."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from crash.queue_work import DATABASE, TOLD

from mergeguard.storage.queue.sqlite import SqliteEventStore


@dataclass
class Told:
    """What callers were told."""

    asked: list[str]
    registered: dict[int, str]
    """Token by id."""
    lines: dict[tuple[str, str], list[int]]
    """Ids by producer and source, in the order in which it registered them."""


def told(folder: Path) -> Told:
    heard = Told([], {}, defaultdict(list))
    path = folder / TOLD
    for line in path.read_text().splitlines() if path.exists() else ():
        kind, token, *more = line.split()
        if kind == "asked":
            heard.asked.append(token)
            continue
        number, source = more
        assert int(number) not in heard.registered, "an id was given twice"
        heard.registered[int(number)] = token
        heard.lines[token.rpartition(".")[0], source].append(int(number))
    return heard


@dataclass
class Found:
    """What stands in the file."""

    pending: dict[int, str]
    dead: dict[int, str]
    done: list[tuple[int, str]]
    """Effects in the order in which they were written."""


def look(folder: Path, aside: Path) -> Found:
    """Hold that the queue is whole, by what stands in a copy of the file; return it."""
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(folder, aside)
    heard = told(folder)
    with opened(aside / DATABASE) as connection:
        if connection is None:
            assert not heard.registered
            return Found({}, {}, [])
        found = Found(bodies(connection, "event"), bodies(connection, "dead_event"), effects(connection))
        accounts(connection, found)
    each_is_once(found, heard)
    in_order(found, heard, aside)
    return found


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection | None]:
    """Open the copy; ``None`` where there is no queue in it yet."""
    if not path.exists():
        yield None
        return
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        tables = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'effect'").fetchall()
        yield connection if tables else None


def bodies(connection: sqlite3.Connection, table: str) -> dict[int, str]:
    rows = connection.execute(f"SELECT id, CAST(body AS TEXT) FROM mergeguard_{table} ORDER BY id")
    return dict(rows.fetchall())


def effects(connection: sqlite3.Connection) -> list[tuple[int, str]]:
    return connection.execute("SELECT event, token FROM effect ORDER BY rowid").fetchall()


def accounts(connection: sqlite3.Connection, found: Found) -> None:
    """Hold that the counters say what the rows say."""
    names = "events, inline_bytes, file_bytes, registered, done, dead, dead_bytes"
    sums = ", ".join(f"sum({name})" for name in names.split(", "))
    counted = connection.execute(f"SELECT {sums} FROM mergeguard_queue").fetchone()
    pending, dead, done = len(found.pending), len(found.dead), len(found.done)
    sizes = [sum(map(len, texts.values())) for texts in (found.pending, found.dead)]
    assert counted == (pending, sizes[0], 0, pending + dead + done, done, dead, sizes[1])
    last, done_of_chains = connection.execute(
        "SELECT (SELECT last_event FROM mergeguard_queue_state), (SELECT coalesce(sum(done), 0) FROM mergeguard_chain)"
    ).fetchone()
    assert last == pending + dead + done, "an id was given and is nowhere"
    assert done_of_chains <= done


def each_is_once(found: Found, heard: Told) -> None:
    """no_loss, no_invention, effect_once: what was promised is in one place, and nothing else is."""
    everywhere = Counter([*found.pending, *found.dead, *(number for number, _ in found.done)])
    assert set(everywhere.values()) <= {1}, everywhere.most_common(3)
    tokens = {**found.pending, **found.dead, **dict(found.done)}
    assert heard.registered.items() <= tokens.items(), "an event that was promised is gone"
    assert set(tokens.values()) <= set(heard.asked)
    assert len(set(tokens.values())) == len(tokens)


def in_order(found: Found, heard: Told, aside: Path) -> None:
    """order, progress: what is gone of a key is its beginning, effects came in its order, and none is stranded."""
    for (_, source), numbers in heard.lines.items():
        assert numbers == sorted(numbers)
        if source == "0":
            continue
        gone = [number in found.pending for number in numbers]
        assert gone == sorted(gone), "an event is done before one that it stands behind"
        ran = [number for number, _ in found.done if number in set(numbers)]
        assert ran == sorted(ran)
    store = SqliteEventStore(aside / DATABASE)
    try:
        assert store.stranded() == []
        assert sum(chain.events for chain in store.chains()) == len(found.pending)
    finally:
        store.close()
