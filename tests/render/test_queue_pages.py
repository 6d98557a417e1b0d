"""The queue for people and programs: everything of the value is shown, nothing in it commands a terminal."""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
import uuid
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core.events import NO_SOURCE, Event, Failure, Parking, Queue, Reason
from mergeguard.processor.by_hand import ExportedEvents, ShownEvent, WokenEvents, event_of
from mergeguard.processor.doctor import QueueCheck
from mergeguard.processor.metrics import exposition
from mergeguard.processor.report import ChainLine, Holder, QueueLine, QueueStatistics
from mergeguard.render import queue as pages
from mergeguard.render.queue_json import checks_json, event_json, events_json, parked_json, status_json, woken_json
from mergeguard.render.queue_parked import parked_text, woken_text
from mergeguard.storage.queue.store import ChainState, DeadCount, DeadEvent, ParkedEvent, QueueSize

SCHEMA = json.loads((Path(pages.__file__).parents[1] / "schemas" / "queue-status-1.json").read_text("utf-8"))
STATES = {Event: "pending", ParkedEvent: "parked", DeadEvent: "dead"}
NOW = dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC)
counts = st.integers(0, 2**40)
times = st.datetimes(dt.datetime(1971, 1, 1), dt.datetime(2100, 1, 1), timezones=st.just(dt.UTC))  # noqa: DTZ001 - in UTC
maybe_seconds = st.none() | st.floats(0, 10**7)
sources = st.uuids().map(str) | st.just(str(NO_SOURCE))
nasty = st.text(max_size=30) | st.sampled_from(["\x1b[2J", "a\nb", "\u202e", "\ud800", "x" * 300])


@st.composite
def queue_lines(draw: st.DrawFn) -> tuple[QueueLine, ...]:
    lines = []
    for queue in Queue:
        size = QueueSize(queue, *(draw(counts) for _ in range(8)), oldest=draw(st.none() | times), parked=draw(counts))
        lines.append(QueueLine(size, draw(maybe_seconds), draw(maybe_seconds), draw(maybe_seconds)))
    return tuple(lines)


@st.composite
def chain_lines(draw: st.DrawFn) -> ChainLine:
    owner = draw(st.none() | nasty)
    state = ChainState(
        draw(sources),
        draw(st.integers(0, 4095)),
        draw(st.sampled_from(Queue)),
        draw(counts),
        draw(st.none() | times),
        owner,
        None if owner is None else draw(times),
        draw(st.none() | times),
        draw(counts),
        draw(counts),
        draw(st.integers(0, 9)),
        draw(counts),
        draw(st.booleans()),
    )
    left = None if owner is None else draw(st.floats(-100, 100))
    until = draw(st.none() | st.floats(-100, 100))
    return ChainLine(state, draw(maybe_seconds), left, until, draw(maybe_seconds), draw(maybe_seconds))


statistics = st.builds(
    QueueStatistics,
    taken=times,
    since=st.none() | times,
    queues=queue_lines(),
    chains=st.lists(chain_lines(), max_size=4).map(tuple),
    dead=st.lists(st.builds(DeadCount, sources, st.integers(0, 4095), st.integers(1, 99), counts), max_size=3).map(
        tuple
    ),
    holders=st.lists(st.builds(Holder, nasty, st.integers(1, 9), times), max_size=3).map(tuple),
    stranded=st.integers(0, 3),
    file_limit=counts,
)
events = st.builds(
    Event,
    st.integers(1, 2**40),
    st.uuids() | st.just(NO_SOURCE),
    st.integers(0, 4095),
    st.sampled_from(Queue),
    counts,
    times,
    st.integers(0, 9),
    file=st.none() | nasty,
)
dead_events = st.builds(
    DeadEvent,
    events,
    st.builds(Failure, st.just(1), nasty, nasty, st.none(), st.sampled_from(Reason)),
    times,
)


parked_events = st.builds(
    ParkedEvent,
    events,
    st.builds(Parking, st.just(1), st.lists(st.uuids(), max_size=3).map(tuple), nasty, nasty),
    times,
)


def harmless(text: str) -> bool:
    """Hold that a text is made of lines that print and that UTF-8 can carry."""
    text.encode("utf-8")
    return all(line.isprintable() for line in text.split("\n")) and text.endswith("\n")


@given(statistics)
def test_the_statistics_for_people_name_every_queue_chain_and_holder(found: QueueStatistics) -> None:
    text = pages.status_text(found)

    assert harmless(text)
    for name in ("priority", "fast", "normal", "slow", "large", "all"):
        assert re.search(rf"^{name} ", text, re.MULTILINE)
    for line in found.chains:
        assert pages.source_name(line.state.source) in text
    assert f"{found.total.size.events:,}" in text
    assert ("!! " in text) == bool(found.stranded)
    assert ("no rates" in text) == (found.since is None)


@given(statistics)
def test_the_statistics_for_programs_are_what_the_schema_says(found: QueueStatistics) -> None:
    document = json.loads(status_json(found))

    jsonschema.validate(document, SCHEMA)
    assert [queue["events"] for queue in document["queues"]] == [line.size.events for line in found.queues]
    assert len(document["chains"]) == len(found.chains)
    assert [one["bytes"] for one in document["dead"]] == [one.bytes for one in found.dead]


@given(statistics)
def test_the_schema_wants_every_field(found: QueueStatistics) -> None:
    document: Any = json.loads(status_json(found))
    for field in list(document):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({name: value for name, value in document.items() if name != field}, SCHEMA)
    del document["queues"][0]["oldest"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, SCHEMA)


@given(statistics)
def test_one_report_says_the_same_in_all_formats(found: QueueStatistics) -> None:
    document = json.loads(status_json(found))
    samples = dict(line.rsplit(" ", 1) for line in exposition(found).splitlines() if not line.startswith("#"))
    for queue in document["queues"]:
        assert float(samples[f'mergeguard_queue_events{{queue="{queue["queue"]}"}}']) == queue["events"]
        assert float(samples[f'mergeguard_queue_dead_bytes{{queue="{queue["queue"]}"}}']) == queue["dead_bytes"]


@given(st.lists(events | parked_events, max_size=4), st.lists(dead_events, max_size=4))
def test_lists_hold_every_event_once_with_its_status(waiting: list[Event | ParkedEvent], dead: list[DeadEvent]) -> None:
    numbers = [event_of(one).id for one in (*waiting, *dead)]
    states = [STATES[type(one)] for one in (*waiting, *dead)]
    text = pages.events_text(waiting, dead)
    assert harmless(text)
    rows = re.findall(r"^ *(\d+)  (\w+) +(?:no source|[0-9a-f-]{36})  ", text, re.MULTILINE)
    assert rows == [(str(number), state) for number, state in zip(numbers, states, strict=True)]
    entries = [json.loads(line) for line in events_json(waiting, dead, "jsonl").splitlines()]
    assert json.loads(events_json(waiting, dead, "json"))["events"] == entries
    assert [(entry["event"], entry["state"]) for entry in entries] == list(zip(numbers, states, strict=True))
    assert [entry["source"] for entry in entries] == [str(event_of(one).source) for one in (*waiting, *dead)]
    assert [entry.get("guids") for entry in entries] == [
        [str(guid) for guid in one.parking.guids] if isinstance(one, ParkedEvent) else None for one in (*waiting, *dead)
    ]


@given(events | dead_events, st.none() | st.binary(max_size=200), nasty, st.integers(0, 3))
def test_one_event_is_harmless_on_a_terminal_and_exact_for_programs(
    found: Event | DeadEvent, body: bytes | None, why: str, later: int
) -> None:
    shown = ShownEvent(found, body, why if body is None else None, later if isinstance(found, DeadEvent) else 0)

    assert harmless(pages.event_text(shown))
    document = json.loads(event_json(shown))
    assert document["event"] == shown.event.id
    assert document["later_done"] == shown.later_done
    told = document["body_base64"]
    assert (None if told is None else base64.b64decode(told)) == body


@given(st.lists(parked_events, max_size=4))
def test_parked_events_are_listed_once_with_their_guids(parked: list[ParkedEvent]) -> None:
    text = parked_text(parked)
    assert harmless(text)
    numbers = [int(number) for number in re.findall(r"^ *(\d+)  ", text, re.MULTILINE)]
    assert numbers == [one.event.id for one in parked]
    entries = json.loads(parked_json(parked))["events"]
    assert [entry["guids"] for entry in entries] == [[str(guid) for guid in one.parking.guids] for one in parked]
    assert {entry["state"] for entry in entries} <= {"parked"}
    for one in parked:
        page = ShownEvent(one.event, b"", parked=one)
        assert json.loads(event_json(page))["state"] == "parked"
        assert harmless(pages.event_text(page))
        assert all(str(guid) in pages.event_text(page) for guid in one.parking.guids)
        assert json.loads(event_json(page))["parked"]["guids"] == [str(guid) for guid in one.parking.guids]


@given(st.lists(parked_events, max_size=40), st.integers(0, 3))
def test_what_was_woken_is_named_but_for_very_many(woken: list[ParkedEvent], left: int) -> None:
    done = WokenEvents(tuple(woken), left)
    text = woken_text(done)
    assert harmless(text)
    assert text.startswith(f"{len(woken)} event")
    assert ("parked" in text) == bool(left)
    assert (" and " in text.partition("\n")[0]) == (len(woken) > 20)
    assert json.loads(woken_json(done)) == {
        "schema_version": 1, "woken": [one.event.id for one in woken], "left": left,
    }  # fmt: skip


def shown(body: bytes) -> str:
    event = Event(7, uuid.UUID(int=9), 1, Queue.FAST, len(body), NOW, 0, body=body)
    return pages.event_text(ShownEvent(event, body)).partition("\n\n")[2]


def test_a_body_keeps_its_lines_and_loses_its_commands() -> None:
    assert shown(b"<a>\n  <b/>\n</a>") == "<a>\n  <b/>\n</a>\n"
    assert shown(b"\x1b]0;title\x07\x1b[2Jx\x08\x7f") == "\\x1b]0;title\\x07\\x1b[2Jx\\x08\\x7f\n"
    assert shown("a\u202eb".encode()) == "a\\u202eb\n"
    assert shown(b"\xff\xfe" + "<ü/>".encode("utf-16-le")) == "<ü/>\n"
    assert shown(b"\xef\xbb\xbf<ok/>\xff") == "<ok/>\\xff\n"


def test_a_long_body_is_cut_and_says_so() -> None:
    text = shown(b"x" * (pages.MOST_SHOWN + 5))
    assert text.startswith("x" * pages.MOST_SHOWN + "\n")
    assert "and 5 more characters" in text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "-"), (0.0, "0.0s"), (9.94, "9.9s"), (10.0, "10s"), (59.4, "59s"), (60.0, "1m00s"), (3599, "59m59s"),
     (3600, "1h00m"), (86_399, "23h59m"), (86_400, "1d00h"), (90_000 * 24, "25d00h")],
)  # fmt: skip
def test_spans(seconds: float | None, words: str) -> None:
    assert pages.span(seconds) == words


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 B"), (1023, "1,023 B"), (1024, "1.0 KiB"), (524_288_000, "500.0 MiB"), (2**50, "1024.0 TiB")],
)
def test_amounts(size: int, words: str) -> None:
    assert pages.amount(size) == words


checks = st.lists(
    st.builds(
        QueueCheck, st.sampled_from(["leases", "files"]), nasty, st.sampled_from([True, False, None]), st.none() | nasty
    ),
    max_size=5,
)


@given(checks)
def test_the_doctor_is_never_well_with_something_bad_or_unseen(found: list[QueueCheck]) -> None:
    text = pages.checks_text(found)

    assert harmless(text)
    assert ("the queue is well" in text) == all(check.fine for check in found)
    marks = re.findall(r"^(ok |BAD|\?  )  ", text, re.MULTILINE)
    assert marks == [{True: "ok ", False: "BAD", None: "?  "}[check.fine] for check in found]
    assert [row["fine"] for row in json.loads(checks_json(found))["checks"]] == [check.fine for check in found]


def test_an_export_says_what_it_left() -> None:
    done = ExportedEvents((Path("a.NSE"), Path("a.log")), 1, ((7, "its body is\x1b gone"),))
    assert pages.exported_text(done, "out") == (
        "2 files written to out\n1 event dropped from the queue\nevent 7 not written: its body is\\x1b gone\n"
    )
