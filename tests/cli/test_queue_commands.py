"""``queue`` as a support engineer meets it: how it is, what waits, what died, and what one does about it."""

from __future__ import annotations

import io
import json
import re
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib import resources
from pathlib import Path

import jsonschema
import pytest
from processor.tended_queue import ALICE, BOB, TendedQueue, tended

from mergeguard.core.events import NewEvent, Queue
from mergeguard.processor.settings import ENTRIES
from mergeguard.processor.status import StatusWriter
from mergeguard.storage.queue.opening import open_store
from mergeguard.storage.queue.status_table import open_status

CORE = '<c><customSetting key="MaxFileQSize(KB)" type="local" value="7"/>'


@pytest.fixture
def queue(folder: Path) -> Iterator[TendedQueue]:
    """A queue in the current folder: ``queue.db``, its files in ``EventQueue``."""
    with tended(folder) as made:
        yield made


@pytest.fixture
def dead(queue: TendedQueue) -> int:
    return queue.kill(queue.register(ALICE, b"<a>\x1b[31m</a>"), kind="MalformedEvent", message="\x1b bad")


def test_status_of_a_queue_as_table_json_and_metrics(call: Callable, queue: TendedQueue, dead: int) -> None:
    queue.register(BOB, b"12345")

    table = call("queue", "status", "queue.db")
    assert (table.code, table.err) == (0, "")
    assert str(BOB) in table.out
    assert "no rates" in table.out
    written = call("queue", "status", "queue.db", "--output", "s.json", "--output", "s.prom")
    assert (written.code, written.out.startswith("queue  ")) == (0, True), "the table goes to stdout besides"
    document = json.loads(Path("s.json").read_text())
    schema = resources.files("mergeguard.schemas") / "queue-status-1.json"
    jsonschema.validate(document, json.loads(schema.read_text("utf-8")))
    assert document["queues"][Queue.FAST]["events"] == 1
    assert document["dead"] == [{"source": str(ALICE), "priority": 1, "events": 1, "bytes": 12}]
    assert 'mergeguard_queue_events{target="queue.db",queue="fast"} 1\n' in Path("s.prom").read_text()


def test_rates_over_a_moment_and_since_the_last_row_of_status(call: Callable, queue: TendedQueue) -> None:
    queue.register()
    twice = json.loads(call("queue", "status", "queue.db", "--over", "0.01s", "--format", "json").out)
    assert (twice["since"] is not None, twice["queues"][1]["in_per_second"]) == (True, 0)
    table = open_status("queue.db")
    table.create()
    StatusWriter(queue.store, table, lambda: queue.settings).write_once()
    table.close()
    queue.register()
    since = json.loads(call("queue", "status", "queue.db", "--format", "json").out)
    assert since["since"] == "2024-02-29T12:00:00Z"
    assert since["queues"][1]["in_per_second"] > 0


def test_a_limit_shortens_what_is_listed_and_no_metric(call: Callable, queue: TendedQueue) -> None:
    for priority in range(5):
        queue.register(priority=priority)
    queue.take(worker="w")
    found = json.loads(call("queue", "status", "queue.db", "--limit", "2", "--format", "json").out)
    assert (len(found["chains"]), found["lease_holders"][0]["chains"]) == (2, 5)
    metrics = call("queue", "status", "queue.db", "--limit", "2", "--format", "prometheus").out
    assert 'mergeguard_queue_chains{target="queue.db",state="expired"} 5\n' in metrics, "its clock stands in 2024"
    assert call("queue", "status", "queue.db", "--limit", "-1").code == 2


def test_the_limit_is_that_of_the_settings(call: Callable, queue: TendedQueue, folder: Path) -> None:
    (folder / "Core.config").write_text(CORE + "</c>")
    given = call("queue", "status", "queue.db", "--format", "json", "--core-settings", "Core.config")
    assert json.loads(given.out)["file_limit_bytes"] == 7 * 1024
    (folder / "Core.config").write_text(CORE)
    assert call("queue", "doctor", "queue.db", "--core-settings", "Core.config").refused(2, "Core.config:1: not well-")
    (folder / "mergeguard.toml").write_text("[event_queue]\nmax_file_queue_kb = 3\n")
    assert json.loads(call("queue", "status", "queue.db", "--format", "json").out)["file_limit_bytes"] == 3 * 1024
    (folder / "mergeguard.toml").write_text("[event_queue]\nmax_file_queue = 3\n")
    assert call("queue", "status", "queue.db").refused(2, "mergeguard.toml:2: unknown setting 'max_file_queue'")


def test_the_settings_in_force_and_where_each_came_from(call: Callable, folder: Path) -> None:
    (folder / "mergeguard.toml").write_text("[event_queue]\nlease_seconds = 7\n")
    (folder / "Core.config").write_text(CORE + '<s key="EventRetryLimt" value="1"/></c>')

    shown = call("config", "queue", "--origin", "--core-settings", "Core.config")

    assert shown.code == 0
    assert "did you mean 'EventRetryLimit'?" in shown.err
    begun = [line for line in shown.out.splitlines()[2:] if not line.startswith(" ")]
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in begun}
    longer = [line.rstrip() for line in shown.out.splitlines() if line.startswith(" ")]
    assert 0 < max(map(len, longer)) <= 100, "what is longer goes on below"
    assert {"44:45:53:54:00:00;", "123456789;"} < set(shown.out.split())
    assert set(lines) == {entry.name for entry in ENTRIES}
    assert lines["lease_seconds"] == f"7.0 seconds {folder}/mergeguard.toml:2"
    assert lines["max_file_queue_kb"] == f"7 KB of 1,024 bytes {folder}/Core.config:1"
    assert lines["event_copy_folder"] == "- default"
    assert "default" not in call("config", "queue").out


def test_remarks_on_the_settings_go_to_stderr(call: Callable, queue: TendedQueue, folder: Path) -> None:
    (folder / "Core.config").write_text(CORE + '<customSetting key="EventRetryLimt" value="1"/></c>')
    ran = call("queue", "doctor", "queue.db", "--core-settings", "Core.config")
    assert ran.code == 0
    assert ran.err.startswith("note: ")
    assert "did you mean 'EventRetryLimit'?" in ran.err


def test_lists_of_pending_and_dead_events(call: Callable, queue: TendedQueue, dead: int) -> None:
    waiting = [queue.register(ALICE), queue.register(BOB)]

    def listed(*flags: str) -> list[tuple[int, str]]:
        ran = call("queue", "list", "queue.db", "--format", "jsonl", *flags)
        assert (ran.code, ran.err) == (0, "")
        return [(entry["event"], entry["state"]) for entry in map(json.loads, ran.out.splitlines())]

    pending = [(event, "pending") for event in waiting]
    assert listed() == [*pending, (dead, "dead")]
    assert listed("--pending") == pending
    assert listed("--dead") == [(dead, "dead")]
    assert listed("--source", f"{{{str(ALICE).upper()}}}") == [pending[0], (dead, "dead")]
    assert listed("--limit", "1") == [pending[0], (dead, "dead")]
    assert "\x1b" not in call("queue", "list", "queue.db").out
    assert call("queue", "list", "queue.db", "--source", "agent7").refused(2, "'agent7' is not a guid")
    assert call("queue", "list", "queue.db", "--format", "xml").refused(2, "unknown format 'xml'")


@pytest.fixture
def tangled(queue: TendedQueue) -> uuid.UUID:
    """A guid in a ring of two, in the reference schema beside the queue."""
    ring = [uuid.UUID(int=number) for number in (7, 8)]
    with closing(sqlite3.connect(queue.path)) as connection:
        connection.execute("CREATE TABLE ResourceMerge (Id INTEGER, OldGuid TEXT, NewGuid TEXT, MergedAt, MergeKey)")
        connection.execute("CREATE TABLE ItemResource (Guid TEXT)")
        pairs = [(str(old), str(new)) for old, new in zip(ring, ring[::-1], strict=True)]
        connection.executemany("INSERT INTO ResourceMerge (OldGuid, NewGuid) VALUES (?, ?)", pairs)
        connection.commit()
    return ring[0]


def test_a_list_tells_parked_events_from_pending_ones_and_chooses_by_status(
    call: Callable, queue: TendedQueue, dead: int
) -> None:
    parked, other = queue.register(ALICE), queue.register(BOB)
    queue.park(ALICE)

    def listed(*flags: str) -> list[tuple[int, str]]:
        ran = call("queue", "list", "queue.db", "--format", "jsonl", *flags)
        assert (ran.code, ran.err) == (0, "")
        return [(entry["event"], entry["state"]) for entry in map(json.loads, ran.out.splitlines())]

    stands, waits, died = (parked, "parked"), (other, "pending"), (dead, "dead")
    assert listed() == [stands, waits, died]
    assert listed("--status", "parked") == [stands]
    assert listed("--status", "pending") == [waits]
    assert listed("--status", "parked", "--status", "dead") == [stands, died]
    assert listed("--status", "dead", "--pending") == [stands, waits, died]
    assert listed("--pending") == [stands, waits]
    table = call("queue", "list", "queue.db", "--status", "parked").out
    assert re.search(rf"^ *{parked} +parked +{ALICE} ", table, re.MULTILINE)
    assert call("queue", "list", "queue.db", "--status", "asleep").refused(2, "unknown status 'asleep'")


def test_parked_events_are_listed_shown_and_found_by_the_doctor(
    call: Callable, queue: TendedQueue, tangled: uuid.UUID
) -> None:
    assert call("queue", "parked", "queue.db").out == "no event is parked\n"
    event = queue.register(ALICE)
    queue.register(BOB)
    queue.park(tangled, message="\x1b in a circle")

    listed = call("queue", "parked", "queue.db")
    assert (listed.code, listed.err) == (0, "")
    line = rf"^{event} +{ALICE} +1 +fast .* in a cycle \(MG001, MG002\) +{tangled} +1$"
    assert re.search(line, listed.out, re.MULTILINE)
    [entry] = json.loads(call("queue", "parked", "queue.db", "--format", "json").out)["events"]
    assert (entry["event"], entry["state"], entry["guids"]) == (event, "parked", [str(tangled)])
    assert (entry["status"], entry["since"]) == ("cycle", "2024-02-29T12:00:00Z")
    shown = call("queue", "show", "queue.db", event).out
    assert shown.startswith(f"event     {event}, parked\n")
    assert f"guid      {tangled}\n" in shown
    assert "\x1b" not in shown
    document = json.loads(call("queue", "show", "queue.db", event, "--format", "json").out)
    assert (document["state"], document["parked"]["guids"]) == ("parked", [str(tangled)])
    status = json.loads(call("queue", "status", "queue.db", "--format", "json").out)
    assert status["queues"][Queue.FAST]["parked"] == 1
    assert sorted(one["state"] for one in status["chains"]) == ["parked", "waiting"]
    doctor = call("queue", "doctor", "queue.db")
    assert doctor.code == 1
    assert f"at event {event} since 2024-02-29 12:00:00 for {tangled}" in doctor.out
    assert "-> 'mergeguard repair TARGET' mends it" in doctor.out


def test_waking_takes_those_that_are_mended_or_those_that_are_named(
    call: Callable, queue: TendedQueue, tangled: uuid.UUID
) -> None:
    events = [queue.register(source) for source in (ALICE, BOB)]
    queue.park(tangled)
    queue.park()

    woken = call("queue", "wake", "queue.db")
    assert (woken.code, woken.err) == (0, "")
    assert (
        woken.out == f"1 event woken: {events[1]}\n1 event stays parked: 'mergeguard queue doctor TARGET' says what "
        "frees it\n"
    )
    assert call("queue", "wake", "queue.db", events[1]).refused(2, f"event {events[1]} is not parked")
    assert call("queue", "wake", "queue.db", "x").refused(2, "is no event's id")
    with closing(sqlite3.connect(queue.path)) as connection:
        connection.execute("DELETE FROM ResourceMerge WHERE OldGuid = ?", [str(tangled)])
        connection.commit()
    mended = json.loads(call("queue", "wake", "queue.db", "--format", "json").out)
    assert mended == {"schema_version": 1, "woken": [events[0]], "left": 0}
    assert call("queue", "wake", "queue.db").out == "0 events woken\n"
    assert [event.id for event in queue.store.waiting()] == events


def test_an_event_is_woken_by_its_id_wherever_its_guids_lead(
    call: Callable, queue: TendedQueue, tangled: uuid.UUID
) -> None:
    event = queue.register()
    queue.park(tangled)
    assert call("queue", "wake", "queue.db", event).out == f"1 event woken: {event}\n"
    assert queue.store.parked() == []


def test_a_database_without_merges_is_told_from_one_without_a_queue(call: Callable, queue: TendedQueue) -> None:
    assert call("queue", "wake", "queue.db").out == "0 events woken\n", "nothing is parked: nobody asks for merges"
    queue.register()
    queue.park(ALICE)
    refused = call("queue", "wake", "queue.db")
    assert refused.code == 3
    assert "ResourceMerge" in refused.err
    assert "has no event queue" not in refused.err
    Path("empty.db").write_bytes(b"")
    assert call("queue", "parked", "empty.db").refused(3, "has no event queue")


def test_an_event_is_shown_without_commands_for_the_terminal(call: Callable, queue: TendedQueue, dead: int) -> None:
    ran = call("queue", "show", "queue.db", dead, terminal=True)
    assert ran.code == 0
    assert "\x1b" not in ran.out
    assert ran.out.endswith("\n\n<a>\\x1b[31m</a>\n")
    assert "why       its tries are spent: MalformedEvent: \\x1b bad\n" in ran.out
    assert json.loads(call("queue", "show", "queue.db", dead, "--format", "json").out)["exception"] == "MalformedEvent"


@pytest.mark.parametrize("number", ["seven", "-1", "1e3", "99999999999999999999"])
def test_what_is_no_event_is_refused(call: Callable, queue: TendedQueue, number: str) -> None:
    assert call("queue", "show", "queue.db", "--", number).refused(2, "is no event's id")
    assert call("queue", "show", "queue.db", "99").refused(2, "there is no event 99")


def test_a_retry_that_keeps_the_order_is_not_asked_about(call: Callable, queue: TendedQueue, dead: int) -> None:
    ran = call("queue", "retry", "queue.db", dead)
    assert (ran.code, ran.out, ran.err) == (0, f"event {dead} waits again, as event {dead + 1}\n", "")
    assert [event.id for event in queue.store.waiting()] == [dead + 1]


def test_a_retry_that_breaks_the_order_wants_consent(
    call: Callable, queue: TendedQueue, dead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.register(ALICE)
    queue.register(ALICE)
    queue.finish(done=2)
    warning = f"warning: 2 later events of its source and priority are done; event {dead} would come after them\n"

    refused = call("queue", "retry", "queue.db", dead)
    assert refused.refused(2, warning, "nobody is at a terminal")
    assert len(queue.store.dead()) == 1
    agreed = call("queue", "retry", "queue.db", dead, "--yes")
    assert (agreed.code, agreed.err) == (0, warning)
    assert queue.store.dead() == []


def test_consent_is_the_typed_name_of_the_database(
    call: Callable, queue: TendedQueue, dead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("io.StringIO", Terminal)
    mistyped = call("queue", "drop", "queue.db", dead, stdin="queue\n")
    assert (mistyped.code, "not the name of the database; nothing was changed" in mistyped.err) == (2, True)
    assert len(queue.store.dead()) == 1
    dropped = call("queue", "drop", "queue.db", dead, stdin="queue.db\n")
    assert (dropped.code, dropped.out) == (0, f"event {dead} is dropped\n")
    assert queue.store.dead() == []


def test_a_pending_event_can_be_neither_retried_nor_dropped(call: Callable, queue: TendedQueue) -> None:
    event = queue.register()
    assert call("queue", "retry", "queue.db", event).refused(2, f"event {event} is not dead")
    assert call("queue", "drop", "queue.db", event, "--yes").refused(2, f"event {event} is not dead")
    assert len(queue.store.waiting()) == 1


def test_an_export_of_all_dead_ones_then_dropped(call: Callable, queue: TendedQueue, dead: int) -> None:
    large = queue.kill(queue.register_file(BOB, b"large"))
    ran = call("queue", "export", "queue.db", "out", "--drop")
    assert (ran.code, ran.out) == (0, "4 files written to out\n2 events dropped from the queue\n")
    bodies = {path.read_bytes() for path in Path("out").glob("*.NSE")}
    assert bodies == {b"<a>\x1b[31m</a>", b"large"}
    assert call("queue", "show", "queue.db", large).code == 2
    assert call("queue", "export", "queue.db", "out", "x").refused(2, "'x' is no event's id")


def test_an_export_that_leaves_something_says_so(call: Callable, queue: TendedQueue) -> None:
    gone = queue.kill(queue.register_file(name="11111111-1111-4111-8111-111111111111.NSE"))
    (queue.settings.queue_folder / "11111111-1111-4111-8111-111111111111.NSE").unlink()
    ran = call("queue", "export", "queue.db", "out", "--drop")
    assert ran.code == 1
    assert f"event {gone} not written: the file 11111111" in ran.out


def test_the_doctor_ends_with_what_it_found(call: Callable, queue: TendedQueue, folder: Path) -> None:
    queue.register_file()
    well = call("queue", "doctor", "queue.db")
    assert (well.code, well.out.splitlines()[-1]) == (0, "the queue is well: nothing is stuck, nothing is lost")
    (folder / "mergeguard.toml").write_text('[event_queue]\nevent_queue_path = "elsewhere"\n')
    unseen = call("queue", "doctor", "queue.db", "--format", "json")
    assert unseen.code == 3
    assert [check["check"] for check in json.loads(unseen.out)["checks"] if check["fine"] is None] == ["files"]
    queue.kill(1)
    assert call("queue", "doctor", "queue.db").code == 1


@pytest.mark.parametrize("command", ["status", "list", "doctor"])
def test_a_target_without_a_queue_is_told(call: Callable, demo: Path, merges: Path, command: str) -> None:
    assert call("queue", command, demo).refused(3, "tz.db has no event queue")
    assert call("queue", command, merges).refused(3, "merges.csv: events can be queued in")
    assert call("queue", command, "missing.db").refused(3, "missing.db", "does not exist")


def test_reading_leaves_every_file_as_it_was(
    call: Callable, queue: TendedQueue, unchanged: Callable, dead: int
) -> None:
    queue.store.close()
    call("queue", "status", "queue.db")  # SQLite makes its two files beside the database
    with unchanged():
        for command in (["status"], ["list"], ["show", dead], ["doctor"]):
            assert call("queue", command[0], "queue.db", *command[1:]).code in {0, 1}


def test_a_queue_in_postgresql_from_end_to_end(call: Callable, postgres_url: str) -> None:
    store = open_store(postgres_url)
    store.create()
    store.register([NewEvent(ALICE, 1, Queue.FAST, 5, body=b"hello"), NewEvent(BOB, 2, Queue.LARGE, 1, body=b"x")])
    store.close()

    found = json.loads(call("queue", "status", postgres_url, "--format", "json").out)
    schema = resources.files("mergeguard.schemas") / "queue-status-1.json"
    jsonschema.validate(found, json.loads(schema.read_text("utf-8")))
    assert [(chain["source"], chain["inline_bytes"]) for chain in found["chains"]] == [(str(ALICE), 5), (str(BOB), 1)]
    assert found["queues"][Queue.FAST]["oldest_seconds"] >= 0
    assert call("queue", "show", postgres_url, 1).out.endswith("\n\nhello\n")
    assert call("queue", "doctor", postgres_url).code == 0


def test_a_help_page_imports_neither_a_driver_nor_the_processor() -> None:
    words = (
        "import sys; sys.argv = ['mergeguard', 'queue', '--help']\n"
        "from mergeguard.cli.app import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in sys.modules if name in {'sqlalchemy', 'numpy', 'starlette', 'mergeguard.processor'}])"
    )
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
