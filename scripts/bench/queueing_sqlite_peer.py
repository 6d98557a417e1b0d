"""A queue of others on an SQLite file, for ``queueing_sqlite.py``; runs where the peer is installed, and needs no more.

    PYTHON scripts/bench/queueing_sqlite_peer.py huey|litequeue FOLDER EVENTS

Prints the rate. Both are first in, first out, so one worker keeps the order, and it works in the quickest way there is.
"""
# ruff: noqa: PLC0415 - a peer is imported only where it is installed

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

BODY = "<message>" + "x" * 182 + "</message>"
EFFECT = "INSERT INTO effect (event) VALUES (?)"


def connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE effect (event)")
    return connection


def rate(connection: sqlite3.Connection, count: int, work: Callable[[], object]) -> float:
    """Return how many a second are done, after a look at whether they are, and in which order."""
    begin = time.perf_counter()
    work()
    seconds = time.perf_counter() - begin
    if [number for (number,) in connection.execute("SELECT event FROM effect ORDER BY rowid")] != list(range(count)):
        raise SystemExit("not all were done, or not in their order")
    return count / seconds


def huey(folder: Path, count: int) -> float:
    import huey as peer

    queue = peer.SqliteHuey(filename=str(folder / "huey.db"), fsync=True, strict_fifo=True)
    with closing(connected(folder / "huey.db")) as connection:

        @queue.task()  # type: ignore[untyped-decorator, unused-ignore]
        def handle(number: int, _body: str) -> None:
            connection.execute(EFFECT, (number,))

        for number in range(count):
            handle(number, BODY)

        def work() -> None:
            while (task := queue.dequeue()) is not None:
                queue.execute(task)

        return rate(connection, count, work)


def litequeue(folder: Path, count: int) -> float:
    import litequeue as peer

    with closing(connected(folder / "lite.db")) as connection:
        queue = peer.LiteQueue(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN")
        for number in range(count):
            queue.put(f"{number} {BODY}")
        connection.execute("COMMIT")

        def work() -> None:
            while (message := queue.pop()) is not None:
                connection.execute(EFFECT, (int(message.data.partition(" ")[0]),))
                queue.done(message.message_id)

        return rate(connection, count, work)


PEERS: Mapping[str, Callable[[Path, int], float]] = {"huey": huey, "litequeue": litequeue}


def main() -> None:
    name, folder, count = sys.argv[1:]
    print(PEERS[name](Path(folder), int(count)))


if __name__ == "__main__":
    main()
