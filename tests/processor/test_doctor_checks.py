"""The doctor: each trouble alone is found and named, a healthy queue is called so, and what cannot be seen is told."""

from __future__ import annotations

import datetime as dt
import sqlite3
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from processor.tended_queue import ALICE, BOB, TendedQueue, tended

from mergeguard.core.events import Failure
from mergeguard.processor.doctor import QueueCheck, examine
from mergeguard.processor.settings import Settings


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[TendedQueue]:
    with tended(tmp_path) as made:
        yield made


def look(queue: TendedQueue, settings: Settings | None = None) -> Mapping[str, QueueCheck]:
    checks = examine(queue.store, settings or queue.settings, clock=queue.file_time)
    found = {check.name: check for check in checks}
    assert len(found) == len(checks), "no check has two lines"
    assert all(check.help for check in checks if not check.fine), "what is not fine says what helps"
    return found


def bad(found: Mapping[str, QueueCheck]) -> dict[str, str]:
    return {name: check.found for name, check in found.items() if check.fine is False}


def test_a_queue_at_work_is_well(queue: TendedQueue) -> None:
    queue.register(ALICE)
    queue.register_file(BOB)
    queue.take()
    found = look(queue)
    assert {check.fine for check in found.values()} == {True}
    assert found["leases"].found == "2 held, none expired"
    assert found["rows without files"].found == "none: all 1 files of rows are there"


def test_an_expired_lease_that_nobody_takes_over(queue: TendedQueue) -> None:
    queue.register(ALICE)
    queue.take(seconds=30, worker="gone:7")
    queue.seconds = 34
    assert bad(look(queue)) == {}, "a sweep comes every second; so soon it means nothing"
    queue.seconds = 36
    assert bad(look(queue)) == {"leases": f"1 expired and not taken over: {ALICE} priority 1 (fast) by gone:7"}
    assert "mergeguard serve" in str(look(queue)["leases"].help)
    queue.store.sweep()
    assert bad(look(queue)) == {}


def test_a_retry_that_is_due_and_not_made(queue: TendedQueue) -> None:
    event = queue.register(ALICE)
    queue.finish(failure=Failure(event, "ValueError", "no", dt.timedelta(seconds=2)))
    queue.seconds = 6
    assert look(queue)["retries"].found == "1 waited for, none overdue"
    queue.seconds = 8
    assert bad(look(queue)) == {"retries": f"1 are due and not made: {ALICE} priority 1 (fast)"}


def test_a_stranded_chain_is_proved(queue: TendedQueue) -> None:
    """The store cannot strand one; a hand in the tables can."""
    queue.register(ALICE)
    queue.register(ALICE)
    assert look(queue)["stranded chains"].fine
    with closing(sqlite3.connect(queue.path)) as connection:
        connection.execute("UPDATE mergeguard_chain SET head = NULL")
        connection.commit()
    found = look(queue)
    assert bad(found)["stranded chains"].startswith(f"1 with 2 events: {ALICE} priority 1")
    assert "bug" in str(found["stranded chains"].help)


def test_parked_events_are_told_with_their_line_their_finding_and_what_frees_them(queue: TendedQueue) -> None:
    guids = [uuid.UUID(int=number) for number in range(1, 4)]
    assert look(queue)["parked events"].fine
    event = queue.register(ALICE)
    queue.register(ALICE)
    queue.park(*guids[:2])
    for at, status in enumerate(("split", "deleted", "strange")):
        queue.register(uuid.UUID(int=0xC0 + at))
        queue.park(guids[2], status=status)
    found = look(queue)
    assert bad(found) == {
        "parked: cycle": (
            f"1 with guids in a cycle (MG001, MG002): {ALICE} priority 1 (fast) at event {event} "
            f"since 2024-02-29 12:00:00 for {guids[0]} and 1 more"
        ),
        **{f"parked: {status}": found[f"parked: {status}"].found for status in ("split", "deleted", "strange")},
    }
    assert "in a split (MG003)" in found["parked: split"].found
    commands = {status: str(found[f"parked: {status}"].help) for status in ("cycle", "split", "deleted", "strange")}
    assert "mergeguard repair TARGET'" in commands["cycle"]
    assert "--override FILE" in commands["split"]
    assert f"explain TARGET {guids[2]}" in commands["split"]
    assert f"unmerge TARGET {guids[2]}" in commands["deleted"]
    assert f"explain TARGET {guids[2]}" in commands["strange"]
    assert found["stranded chains"].fine, "somebody knows what they wait for"
    assert found["retries"].found == "0 waited for, none overdue"
    queue.store.wake([one.event.id for one in queue.store.parked()])
    assert bad(look(queue)) == {}


def test_more_parked_events_than_it_looks_at_are_not_counted_short(
    queue: TendedQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mergeguard.processor.doctor.MOST_CHAINS", 2)
    for number in (1, 2, 3):
        queue.register(uuid.UUID(int=number))
        queue.park(ALICE)
    assert bad(look(queue))["parked: cycle"].startswith("at least 2 with guids in a cycle")


def test_dead_events_are_something_to_act_on(queue: TendedQueue) -> None:
    queue.kill(queue.register(ALICE, b"12345"))
    assert bad(look(queue)) == {"dead events": f"1 with 5 bytes; {ALICE} priority 1: 1"}


def test_a_row_whose_file_is_gone(queue: TendedQueue) -> None:
    queue.register_file(ALICE, name="11111111-1111-4111-8111-111111111111.NSE")
    (queue.settings.queue_folder / "11111111-1111-4111-8111-111111111111.NSE").unlink()
    assert bad(look(queue)) == {"rows without files": "1: 11111111-1111-4111-8111-111111111111.NSE"}


def test_a_file_that_goes_with_its_event_while_the_doctor_looks_is_no_loss(
    queue: TendedQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.register_file(ALICE)
    files = queue.store.files

    def and_then_it_is_done() -> Mapping[str, int]:
        rows = files()
        queue.finish(done=1)
        for name in rows:
            (queue.settings.queue_folder / name).unlink()
        return rows

    monkeypatch.setattr(queue.store, "files", and_then_it_is_done)
    assert bad(look(queue)) == {}


def test_files_without_rows_young_ones_and_foreign_ones(queue: TendedQueue) -> None:
    old, young, part = (str(uuid.UUID(int=number)) for number in (1, 2, 3))
    queue.put(f"{old}.NSE", age=61)
    queue.put(f"{young}.NSE", age=59)
    queue.put(f"{part}.part", age=61)
    queue.put("by hand.xml", age=5)
    assert bad(look(queue)) == {"files without rows": f"2: {old}.NSE, {part}.part", "foreign files": "1: by hand.xml"}
    assert "EvtInbox" in str(look(queue)["foreign files"].help)


def test_files_that_a_start_put_aside_are_for_a_person_to_decide(queue: TendedQueue) -> None:
    orphan = f"{uuid.UUID(int=7)}.NSE"
    queue.put(orphan, folder=queue.settings.event_queue_path / "Orphans")
    found = look(queue)
    assert bad(found) == {"orphans": f"1: {orphan}"}
    assert "EvtInbox" in str(found["orphans"].help)


def test_files_that_wait_in_an_inbox_for_nobody(queue: TendedQueue) -> None:
    queue.put("a.nse", age=61, folder=queue.settings.inbox_folder)
    queue.put("b.nse", age=61, folder=queue.settings.event_queue_path / "EvtQFast")
    queue.put("young.nse", age=1, folder=queue.settings.inbox_folder)
    assert bad(look(queue)) == {"inboxes": "2: EvtInbox/a.nse, EvtQFast/b.nse"}


def test_a_full_queue_says_what_senders_are_told(queue: TendedQueue) -> None:
    queue.register_file(ALICE, b"x" * 2048)
    found = look(queue, replace(queue.settings, max_file_queue_kb=2))
    assert bad(found) == {"size": "2,048 bytes pending in files, 2,048 allowed: posts are answered 'server busy'"}
    assert look(queue, replace(queue.settings, max_file_queue_kb=0))["size"].found.endswith("without a limit")


def test_a_queue_without_threads_here_is_for_others_to_look_at(queue: TendedQueue) -> None:
    queue.register(ALICE)
    found = look(queue, replace(queue.settings, fast_threads=0, large_threads=0))
    assert (found["threads"].fine, found["threads"].found) == (None, "no thread here for fast, which has events")


def test_a_folder_that_is_not_here_is_not_called_fine(queue: TendedQueue, tmp_path: Path) -> None:
    elsewhere = replace(queue.settings, event_queue_path=tmp_path / "elsewhere")
    assert look(queue, elsewhere)["files"].fine, "no row names a file"
    queue.register_file(ALICE)
    found = look(queue, elsewhere)
    assert found["files"].fine is None
    assert str(tmp_path / "elsewhere") in found["files"].found


@given(st.sets(st.integers(1, 12)), st.sets(st.integers(1, 12)))
def test_rows_and_files_are_held_against_each_other_exactly(
    tmp_path_factory: pytest.TempPathFactory, rows: set[int], files: set[int]
) -> None:
    names = {number: f"{uuid.UUID(int=number)}.NSE" for number in range(1, 13)}
    with tended(tmp_path_factory.mktemp("files")) as queue:
        for number in rows:
            queue.register_file(uuid.UUID(int=number + 100), name=names[number])
            (queue.settings.queue_folder / names[number]).unlink()
        for number in files:
            queue.put(names[number], age=100)

        found = bad(look(queue))

    assert counted(found, "rows without files") == len(rows - files)
    assert counted(found, "files without rows") == len(files - rows)
    assert "foreign files" not in found


def counted(found: Mapping[str, str], name: str) -> int:
    return int(found.get(name, "0:").partition(":")[0])
