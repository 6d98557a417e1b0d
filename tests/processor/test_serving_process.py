"""`mergeguard serve` as real processes on real databases: killed, stopped, cut off, started twice."""

from __future__ import annotations

import io
import json
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from conftest import PostgresServer
from serving_world import Door, Served, Site, post_from

from mergeguard.core.events import Event, Queue
from mergeguard.errors import ExitCode
from mergeguard.processor.intake.client import EventPoster, Patience
from mergeguard.storage.queue.opening import open_store

BODIES = [b"<event>%d%s</event>" % (number, b"x" * (6_000 * (number % 4 == 0))) for number in range(400)]


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    if request.param == "sqlite":
        return Site(str(tmp_path / "queue.db"), tmp_path / "EventQueue")
    return Site(request.getfixturevalue("own_database"), tmp_path / "EventQueue")


@pytest.fixture
def own_database(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of a database that one test has to itself: its rows name files of one folder."""
    name = f"mergeguard_{secrets.token_hex(6)}"
    postgres_server.execute(f'CREATE DATABASE "{name}"')
    yield postgres_server.url.rpartition("/")[0] + "/" + name
    postgres_server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@dataclass
class Behind:
    """A site whose database is behind a door."""

    site: Site
    door: Door
    password: str


@pytest.fixture
def behind(own_database: str, tmp_path: Path) -> Iterator[Behind]:
    url = sa.make_url(own_database)
    assert url.host
    assert url.port
    assert isinstance(url.password, str)
    door = Door(url.host, url.port)
    through = url.set(host="127.0.0.1", port=door.port).render_as_string(hide_password=False)
    yield Behind(Site(through, tmp_path / "EventQueue", {"MERGEGUARD_PROBE_SECONDS": "0.05"}), door, url.password)
    door.shut()


@pytest.fixture
def plain(tmp_path: Path) -> Site:
    return Site(str(tmp_path / "queue.db"), tmp_path / "EventQueue")


def registered(site: Site) -> list[bytes]:
    """The bodies of what waits in the database, in order, read from where its rows say they are."""
    store = open_store(site.target)
    try:
        events = [store.event(event.id) for event in store.waiting(limit=100_000)]
    finally:
        store.close()
    bodies = []
    for event in events:
        assert isinstance(event, Event)
        path = site.root / "EvtQueue" / event.file if event.file else None
        bodies.append(path.read_bytes() if path else event.body or b"")
        assert len(bodies[-1]) == event.size
    return bodies


def pending(site: Site) -> int:
    """How many events are not done yet."""
    store = open_store(site.target)
    try:
        return sum(size.events for size in store.sizes())
    finally:
        store.close()


def test_after_200_an_event_survives_kill_9(site: Site) -> None:
    with site.serve("--intake-only") as served:
        some = threading.Event()

        def kill_after_some() -> None:
            some.wait()
            served.process.kill()

        killer = threading.Thread(target=kill_after_some)
        killer.start()
        first, _ = post_from(served, BODIES[:100])
        some.set()  # the others are posted while it dies
        later, refused = post_from(served, BODIES[100:])
        killer.join()
        served.end()
    assert len(first) == 100
    assert refused == set()
    kept = registered(site)
    assert first | later <= set(kept)
    assert len(kept) == len(set(kept))
    assert set(kept) <= set(BODIES)
    # The next server finds what was half done, and takes the rest in.
    with site.serve("--intake-only") as served:
        again, _ = post_from(served, [body for body in BODIES if body not in first | later])
        assert served.stop() == 0
    assert set(registered(site)) == set(BODIES) == first | later | again
    named = {path.name for path in (site.root / "EvtQueue").iterdir()}
    store = open_store(site.target)
    assert named == set(store.files())
    store.close()


def test_a_stop_answers_everybody_and_loses_nothing(site: Site) -> None:
    with site.serve("--intake-only") as served:
        first, _ = post_from(served, BODIES[:40])
        stopped = threading.Thread(target=served.stop)
        stopped.start()
        later, refused = post_from(served, BODIES[40:])
        stopped.join()
        assert served.end() == 0
    assert len(first) == 40
    assert sorted(registered(site)) == sorted(first | later)  # exactly what was answered with 200
    assert refused.isdisjoint(first | later)
    assert served.log[-1] | {"time": ""} == served.log[-1] | {"message": "stopped", "in_time": True, "time": ""}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_events_are_handled_and_it_ends_by_signal_with_0(plain: Site, number: signal.Signals) -> None:
    with plain.serve() as served:
        assert served.post(b"<a/>", "?priority=3") == (200, "event 1\n")
        assert served.get("/healthz") == (200, "ok\n")
        status, metrics = served.get("/metrics")
        assert status == 200
        assert 'mergeguard_posts_total{answer="accepted"} 1' in metrics
        code = served.stop(number)
    assert code == ExitCode.CLEAN
    engine = sa.create_engine(f"sqlite:///{plain.target}")
    with engine.connect() as connection:
        handled = connection.exec_driver_sql("SELECT event, root FROM mergeguard_handled").all()
        waiting = connection.exec_driver_sql("SELECT count(*) FROM mergeguard_event").scalar_one()
    engine.dispose()
    assert len(handled) + waiting == 1
    assert all(tuple(row) == (1, "a") for row in handled)


def test_workers_of_another_process_handle_what_one_takes_in(plain: Site) -> None:
    with plain.serve("--intake-only") as intake, plain.serve("--workers-only") as workers:
        assert workers.url == ""
        accepted, _ = post_from(intake, BODIES[:20])
        assert len(accepted) == 20
        _until(lambda: pending(plain) == 0, workers)
        assert intake.stop() == workers.stop() == 0
    assert [*(plain.root / "EvtQueue").iterdir()] == []


def test_files_in_the_inbox_become_events(plain: Site) -> None:
    plain.settings["MERGEGUARD_INBOX_SETTLE_MILLISECONDS"] = "50"
    with plain.serve("--intake-only") as served:
        (plain.root / "EvtInbox" / "a.nse").write_bytes(b"<a/>")
        (plain.root / "EvtQPriority" / "007NSE0001.tmp").write_bytes(b"<b/>")
        _until(lambda: pending(plain) == 2, served)
        served.stop()
    assert sorted(registered(plain)) == [b"<a/>", b"<b/>"]
    store = open_store(plain.target)
    assert {(event.priority, event.queue) for event in store.waiting()} == {(0, Queue.FAST), (7, Queue.PRIORITY)}
    store.close()


def test_while_postgresql_is_away_posts_are_busy_and_come_in_afterwards(behind: Behind) -> None:
    site = behind.site
    with site.serve("--intake-only") as served:
        assert served.post(b"<before/>")[0] == 200
        behind.door.shut()
        for body in (b"<small/>", b"<large/>" * 1_000):
            assert served.post(body) == (503, "server busy: the database does not take events now\n")
        assert json.loads(served.get("/readyz")[1])["ready"] is False
        assert served.get("/healthz")[0] == 200
        assert [*(site.root / "EvtQueue").iterdir()] == []
        _posted_until_it_is_back(served, behind.door)
        assert json.loads(served.get("/readyz")[1])["ready"] is True
        assert served.stop() == 0
    assert registered(site) == [b"<before/>", b"<kept/>" * 1_000]
    assert not any(behind.password in json.dumps(line) for line in served.log)


def _posted_until_it_is_back(served: Served, door: Door) -> None:
    """Post as a client that is told to wait, and opens the door meanwhile."""
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        door.open()

    poster = EventPoster(served.url, Patience(100, wait))
    assert poster.post(lambda: io.BytesIO(b"<kept/>" * 1_000)).startswith("event ")
    assert waited == [30.0]


def test_a_server_starts_while_its_database_is_away(behind: Behind) -> None:
    behind.door.shut()
    with behind.site.serve(ready=False) as served:
        served.wait_for("waiting for the database")
        assert served.post(b"<a/>") == (503, "server busy: it is starting\n")
        behind.door.open()
        served.wait_for("ready")
        assert served.post(b"<a/>")[0] == 200
        _until(lambda: pending(behind.site) == 0, served)
        assert served.stop() == 0


def test_a_second_intake_on_the_same_folder_is_refused(plain: Site) -> None:
    with plain.serve() as served:
        ran = plain.run()
        assert (ran.returncode, ran.stdout) == (ExitCode.UNCHECKED, "")
        assert f"process {served.process.pid}" in ran.stderr
        assert "Traceback" not in ran.stderr
        assert served.post(b"<a/>")[0] == 200
    with plain.serve() as served:  # the lock of a server that was killed is free
        assert served.post(b"<a/>")[0] == 200


def test_an_address_that_is_taken_is_refused(plain: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ran = plain.run("--port", str(port))
    assert ran.returncode == ExitCode.USAGE
    assert f"127.0.0.1:{port} cannot be listened on: Address already in use" in ran.stderr
    assert "hint: " in ran.stderr


@pytest.mark.parametrize(
    ("flags", "code", "told"),
    [
        (["--workers-only"], ExitCode.UNCHECKED, "the folder of the queue"),
        (["--workers-only", "--intake-only"], ExitCode.USAGE, "neither intake nor workers"),
        (["--log-level", "loud"], ExitCode.USAGE, "unknown log level 'loud'"),
        (["--host", "192.0.2.1"], ExitCode.USAGE, "192.0.2.1:0 cannot be listened on"),
        (["--handler", "drop"], ExitCode.USAGE, "unknown handler 'drop'"),
    ],
)
def test_what_cannot_be_served_is_refused(plain: Site, flags: list[str], code: ExitCode, told: str) -> None:
    ran = plain.run(*flags)
    assert (ran.returncode, ran.stdout) == (code, "")
    assert told in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_disk_that_is_not_mounted_costs_no_event_its_body(plain: Site) -> None:
    with plain.serve("--intake-only") as served:
        assert served.post(b"x" * 5_000)[0] == 200
        served.stop()
    folder = plain.root / "EvtQueue"
    aside = folder.rename(plain.root / "elsewhere")
    for flags in ([], ["--workers-only"]):
        ran = plain.run(*flags)
        assert ran.returncode == ExitCode.UNCHECKED
        assert not folder.exists()
    aside.rename(folder)
    assert registered(plain) == [b"x" * 5_000]


def test_a_disk_that_takes_no_more_is_busy_and_keeps_nothing(plain: Site) -> None:
    plain.largest = 500_000
    with plain.serve("--intake-only") as served:
        for _ in range(2):
            assert served.post(b"x" * 600_000) == (503, "server busy: events cannot be kept now\n")
            assert [*(plain.root / "EvtQueue").iterdir()] == []
        assert "File too large" in served.wait_for("a post cannot be kept")["why"]
        assert served.post(b"x" * 400_000)[0] == 200
        assert served.stop() == 0
    assert registered(plain) == [b"x" * 400_000]


def test_an_idle_server_takes_less_than_120_mb(plain: Site) -> None:
    with plain.serve() as served:
        assert served.post(b"<a/>")[0] == 200
        assert served.get("/metrics")[0] == 200
        status = Path(f"/proc/{served.process.pid}/status").read_text()
        (resident,) = (int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
    assert resident < 120 * 1_024


def _until(true: Callable[[], bool], served: Served) -> None:
    """Ask until it is so; the test's own time limit ends what never is."""
    try:
        while not true():
            served.process.poll()
    except OSError as failure:
        served.process.kill()
        failure.add_note(f"exit code {served.end()}, log {served.log[-10:]}")
        raise
