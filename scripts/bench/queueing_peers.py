"""Queues of others on PostgreSQL that keep the order of a source, given the work of ``queueing_work.py``.

Each is installed by a person, and given the order by its own means: procrastinate a ``lock``, pg-boss a queue of the
policy ``key_strict_fifo``. Both commit the effect and the done-mark one after the other, which is less than is
promised here: an event whose worker is killed in between has its effect twice.
"""

from __future__ import annotations

import shutil
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from measure import HERE
from queueing_work import EFFECTS, Amount, check, connected, timed

SCHEMA = """
import logging, sys, procrastinate
logging.disable(logging.WARNING)
with procrastinate.App(connector=procrastinate.SyncPsycopgConnector(conninfo=sys.argv[1])).open() as app:
    app.schema_manager.apply_schema()
"""
PATH = {"PATH": "/usr/bin:/bin"}


def procrastinate(url: str, python: str, amount: Amount) -> float:
    """Let procrastinate keep the order with a lock for each source.

    Args:
        url: of the database; what is in its schema ``public`` is dropped.
        python: an interpreter that has procrastinate.
        amount: of work.
    """
    plain, keys = _emptied(url), amount.keys(amount.peers)
    subprocess.run([python, "-c", SCHEMA, plain], check=True, env=PATH)
    with connected(url) as connection:
        with connection.cursor().copy("COPY procrastinate_jobs (queue_name, task_name, lock, args) FROM STDIN") as copy:
            for number, key in enumerate(keys):
                copy.write_row(("bench", "insert", str(key), f'{{"event": {number}}}'))
        connection.execute("VACUUM ANALYZE")
    worker = [python, str(HERE / "queueing_worker.py"), "procrastinate", url, "", "0"]
    return _measured(url, "procrastinate", keys, [worker] * amount.workers)


def node_of(folder: Path) -> str | None:
    """Return Node, if it is here and pg-boss is installed in the folder."""
    return shutil.which("node") if (folder / "node_modules" / "pg-boss").is_dir() else None


def pgboss(url: str, node: str, folder: Path, amount: Amount, batch: int) -> float:
    """Let pg-boss keep the order; its jobs are sent one at a time, for those of a bulk insert lose theirs.

    Args:
        url: of the database; what is in its schemas ``public`` and ``pgboss`` is dropped.
        node: the program.
        folder: where pg-boss is installed.
        amount: of work.
        batch: jobs that a worker fetches at once; no two of them are of one source.
    """
    plain, keys = _emptied(url), amount.keys(amount.peers)
    script = [node, str(HERE / "pgboss" / "peer.mjs"), str(folder)]
    sources = "".join(f"{key}\n" for key in keys)
    subprocess.run([*script, "send", plain], input=sources, text=True, check=True, env=PATH)
    with connected(url) as connection:
        connection.execute("VACUUM ANALYZE")
    return _measured(url, "pg-boss", keys, [[*script, "work", plain, str(batch)]] * amount.workers)


def _measured(url: str, name: str, keys: Sequence[uuid.UUID], commands: Sequence[Sequence[str]]) -> float:
    _, seconds = timed(commands)
    check(url, name, keys, first=0)
    return len(keys) / seconds


def _emptied(url: str) -> str:
    """Empty the database but for the table of effects; return its URL as others write it."""
    with connected(url) as connection:
        connection.execute("DROP SCHEMA IF EXISTS pgboss CASCADE")
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
        connection.execute(EFFECTS)
    return urlsplit(url)._replace(scheme="postgresql").geturl()
