"""Worker processes that are killed at each of their steps: the server is the only one who knows what they did."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from queue_places import LEASE, SOURCES, PostgresqlPlace, claimed, event, finish, ids, registered

from mergeguard.core.events import NO_SOURCE, Queue

WORKER = """
import datetime as dt, sys
from mergeguard.core.events import Queue, Ran
from mergeguard.storage.queue.opening import open_store

def reached(step):
    if step == sys.argv[2]:
        print(step, flush=True)
        sys.stdin.read()

store = open_store(sys.argv[1])
claim = store.claim(Queue.FAST, "killed", dt.timedelta(hours=1))
reached("claimed")
with store.batch(claim) as batch:
    for lease in claim.leases:
        for event in lease.events:
            batch.add("INSERT INTO effect (event, worker) VALUES (?, ?)", (event.id, "killed"))
    _ = batch.connection
    reached("handled")
    batch.finish([Ran(lease, len(lease.events)) for lease in claim.leases])
    reached("finished")
reached("committed")
store.release(claim)
reached("released")
"""


@pytest.mark.parametrize("step", ["claimed", "handled", "finished", "committed", "released"])
def test_a_killed_worker_loses_and_doubles_nothing(postgresql: PostgresqlPlace, step: str) -> None:
    numbers = registered(postgresql, event(SOURCES[0]), event(SOURCES[0]), event(SOURCES[1]), event(NO_SOURCE))
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, postgresql.url, step], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline().strip() == step
        worker.send_signal(signal.SIGKILL)
    is_done = step in {"committed", "released"}
    assert sorted(postgresql.look().done) == (numbers if is_done else [])
    later = registered(postgresql, event(SOURCES[0]))
    if step != "released":
        assert postgresql.store.claim(Queue.FAST, "early", LEASE) is None, "its leases have not expired"
    postgresql.pass_time()
    postgresql.store.sweep()
    left = [[*numbers[:2], *later], numbers[2:3], numbers[3:]] if not is_done else [later]
    heir = claimed(postgresql, "heir")
    assert ids(heir) == left
    finish(postgresql, heir)
    postgresql.store.release(heir)
    assert sorted(postgresql.look().done) == [*numbers, *later]
    assert postgresql.store.stranded() == []
    assert {one.events for one in postgresql.store.sizes()} == {0}
