"""One event and one chain, line by line: what a person reads at night about what does not go on."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest

from mergeguard.core.events import NO_SOURCE, Event, Failure, Parking, Queue, Reason
from mergeguard.processor.by_hand import ShownEvent, WokenEvents
from mergeguard.processor.doctor import FINDINGS
from mergeguard.processor.metrics import chain_state
from mergeguard.processor.report import ChainLine, QueueStatistics
from mergeguard.render.queue import event_text, events_text, status_text
from mergeguard.render.queue_parked import parked_text, woken_text
from mergeguard.storage.queue.store import ChainState, DeadEvent, ParkedEvent

NOW = dt.datetime(2026, 3, 1, 12, 30, 5, tzinfo=dt.timezone(dt.timedelta(hours=1)))
LATER = NOW + dt.timedelta(hours=2)
SOURCE, GUID = uuid.UUID(int=5), uuid.UUID(int=6)
EVENT = Event(7, SOURCE, 3, Queue.SLOW, 1_234_567, NOW, 2, file="a/b")
ABOUT = [
    f"source    {SOURCE}",
    "priority  3",
    "queue     slow",
    "received  2026-03-01 11:30:05 UTC",
    "size      1,234,567 bytes, in a/b",
    "tries     2 failed",
]


def test_a_parked_event_says_since_when_why_and_for_which_guids() -> None:
    parked = ParkedEvent(EVENT, Parking(7, (GUID, SOURCE), "split", "two currents"), LATER)
    assert event_text(ShownEvent(EVENT, b"<a/>\n<b/>", parked=parked)).splitlines() == [
        "event     7, parked",
        *ABOUT,
        "parked    2026-03-01 13:30:05 UTC",
        "why       split: two currents",
        f"guid      {GUID}",
        f"guid      {SOURCE}",
        "",
        "<a/>",
        "<b/>",
    ]


@pytest.mark.parametrize(
    ("later", "order"),
    [
        (0, []),
        (1, ["order     1 later event of its source and priority is done"]),
        (2000, ["order     2,000 later events of its source and priority are done"]),
    ],
)
def test_a_dead_event_says_when_why_and_who_went_before_it_came_to_be(later: int, order: list[str]) -> None:
    dead = DeadEvent(EVENT, Failure(7, "OSError", "disk full", None, Reason.RETRIES), LATER)
    assert event_text(ShownEvent(dead, None, "its file is gone", later)).splitlines() == [
        "event     7, dead",
        *ABOUT,
        "died      2026-03-01 13:30:05 UTC",
        "why       its tries are spent: OSError: disk full",
        *order,
        "",
        "its body cannot be shown: its file is gone",
    ]


@pytest.mark.parametrize(
    ("owner", "lease", "retry", "parked", "told"),
    [
        ("w", 90.0, None, False, "leased 1m30s"),
        ("w", -5.0, 3600.0, False, "expired 5.0s"),
        ("w", None, 9.0, True, "leased"),
        (None, None, 7200.0, False, "retrying 2h00m"),
        (None, None, 0.0, False, "waiting"),
        (None, None, -3.0, False, "waiting"),
        (None, None, 50.0, True, "parked"),
        (None, 50.0, None, False, "waiting"),
    ],
)
def test_a_chain_says_what_becomes_of_it_and_how_soon(
    owner: str | None, lease: float | None, retry: float | None, parked: bool, told: str
) -> None:
    state = ChainState(str(NO_SOURCE), 3, Queue.SLOW, 4, NOW, owner, None, None, parked=parked)
    line = ChainLine(state, 61.0, lease, retry)
    text = status_text(QueueStatistics(NOW, None, (), (line,), (), (), 0, 0))
    (row,) = (row for row in text.splitlines() if row.startswith("no source"))
    assert row.split("slow")[1].split(maxsplit=9)[-1].removesuffix(owner or "-").strip().startswith(told)
    assert chain_state(line) == told.split(maxsplit=1)[0]


def test_events_that_wait_and_events_that_are_dead_are_listed_apart() -> None:
    parked = ParkedEvent(EVENT, Parking(7, (), "cycle", "m"), LATER)
    dead = DeadEvent(Event(8, NO_SOURCE, 0, Queue.FAST, 10, NOW, 1), Failure(8, "E", "m", None), LATER)
    lines = events_text([parked], [dead]).splitlines()
    assert lines[0] == "in line"
    assert lines[3].split() == [
        "7",
        "parked",
        str(SOURCE),
        "3",
        "slow",
        "1.2",
        "MiB",
        "2026-03-01",
        "11:30:05",
        "2",
        "a/b",
    ]
    assert lines[5] == "dead"
    assert "died (UTC)" in lines[6]
    assert lines[8].endswith("2026-03-01 13:30:05  its tries are spent: E: m")
    assert events_text([], []) == "no such events\n"


def test_woken_events_are_named_up_to_twenty() -> None:
    parked = [
        ParkedEvent(Event(at, SOURCE, 0, Queue.FAST, 1, NOW, 0), Parking(at, (), "cycle", "m"), NOW) for at in range(23)
    ]
    twenty = ", ".join(map(str, range(20)))
    assert woken_text(WokenEvents((), 0)) == "0 events woken\n"
    assert woken_text(WokenEvents(tuple(parked[:20]), 0)) == f"20 events woken: {twenty}\n"
    text = woken_text(WokenEvents(tuple(parked), 1))
    assert text.startswith(f"23 events woken: {twenty} and 3 more\n1 event stays parked")
    assert "\n2 events stay parked" in woken_text(WokenEvents(tuple(parked), 2))


@pytest.mark.parametrize("status", [*FINDINGS, "odd\x1b"])
def test_a_list_of_parked_events_names_what_their_guids_are(status: str) -> None:
    text = parked_text([ParkedEvent(EVENT, Parking(7, (GUID, SOURCE), status, "m"), LATER)])
    row = text.splitlines()[2]
    assert row.split()[-2:] == [str(GUID), "2"]
    assert FINDINGS.get(status, "odd") in row
    assert "2026-03-01 13:30:05" in row
    assert "\x1b" not in text
    assert parked_text([]) == "no event is parked\n"
