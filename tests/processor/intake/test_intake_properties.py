"""Any body in any chunks and codings, and any sequence of posts: held to an oracle in plain Python."""

from __future__ import annotations

import errno
import gzip
import os
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from intake_world import Answer, World, world

from mergeguard.core.events import NO_SOURCE, Queue
from mergeguard.errors import ConnectFailed
from mergeguard.processor.intake.bodies import compressed
from mergeguard.processor.intake.posts import POST_EVENT

MOST = 20_000
INFLATED = 30_000
PACKS: dict[str, Callable[[bytes], bytes]] = {"": bytes, "gzip": gzip.compress, "deflate": zlib.compress}
BODIES = st.one_of(
    st.binary(max_size=40),
    st.text(max_size=40).map(str.encode),
    st.builds(lambda part, size: (part * size)[:size], st.binary(min_size=1, max_size=3), st.integers(0, 40_000)),
    st.builds(lambda part, size: (part * size).encode(), st.sampled_from("aé€🙂"), st.integers(2_990, 3_010)),
).filter(lambda body: compressed(body) is None)


def is_inline(body: bytes) -> bool:
    """The oracle of where a body lives."""
    try:
        return len(body.decode()) < 3_000
    except UnicodeDecodeError:
        return len(body) < 3_000


def queue_of(size: int) -> Queue:
    return Queue.FAST if size < 15_000 else Queue.NORMAL


def cut(data: bytes, places: Sequence[float]) -> list[bytes]:
    ends = [0, *sorted(int(place * len(data)) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(ends)]


@given(
    body=BODIES,
    declared=st.sampled_from([*PACKS]),
    hidden=st.sampled_from([*PACKS]),
    places=st.lists(st.floats(0, 1), max_size=5),
    lost=st.integers(0, 12),
    goes_away=st.booleans(),
)
def test_any_body_is_taken_whole_or_refused_without_a_trace(
    tmp_path_factory: pytest.TempPathFactory,
    body: bytes,
    declared: str,
    hidden: str,
    places: list[float],
    lost: int,
    goes_away: bool,
) -> None:
    sent = PACKS[declared](PACKS[hidden](body))
    whole = lost == 0 or (not declared and not hidden)
    sent = sent[: len(sent) - lost]
    if whole:
        body = body[: len(body) - lost]
    chunks: list[bytes | None] = [*cut(sent, places)]
    with world(tmp_path_factory.mktemp("w"), max_body_bytes=MOST, max_inflated_bytes=INFLATED) as here:
        headers = {"content-encoding": declared} if declared else {}
        answer = here.caller().post(POST_EVENT, [*chunks, None] if goes_away else chunks, headers)
        here.check()
        if goes_away:
            assert here.store.rows == {}
        elif len(sent) > MOST or ((declared or hidden) and whole and len(body) > INFLATED):
            assert (answer.status, here.store.rows) == (413, {})
        elif not whole or not body:
            # Cut so short that its first bytes are gone, a body that hid its compression looks like a plain one.
            taken = not declared and len(sent) == 1
            assert answer.status in ({200} if taken else {400, 413})
        else:
            assert answer.status == 200
            (event,) = here.store.rows.values()
            assert here.bodies() == [body]
            assert (event.file is None, event.size) == (is_inline(body), len(body))
            assert (event.queue, event.source) == (queue_of(len(body)), NO_SOURCE)


@dataclass
class Oracle:
    """What the sender of each post may believe."""

    registered: list[bytes] = field(default_factory=list)
    file_bytes: int = 0


class Backpressure(RuleBasedStateMachine):
    """Posts of many sizes against a small limit, with events that are done in between and a database that goes."""

    @staticmethod
    def opened(root: pytest.TempPathFactory) -> type[Backpressure]:
        return type("Opened", (Backpressure,), {"roots": root})

    roots: pytest.TempPathFactory

    def __init__(self) -> None:
        super().__init__()
        self.opening = world(self.roots.mktemp("w"), max_file_queue_kb=16)
        self.here: World = self.opening.__enter__()
        self.oracle = Oracle()

    def post(self, body: bytes) -> Answer:
        return self.here.caller().post(POST_EVENT, body)

    @rule(size=st.integers(1, 17_000))
    def posts(self, size: int) -> None:
        body = b"b" * size
        room = is_inline(body) or self.oracle.file_bytes + size <= 16 * 1024
        answer = self.post(body)
        assert answer.status == (200 if room else 503)
        if room:
            self.oracle.registered.append(body)
            self.oracle.file_bytes += 0 if is_inline(body) else size
        else:
            assert (answer.text, answer.headers["retry-after"]) == ("server busy: queue full\n", "30")

    @rule(size=st.sampled_from([10, 4_000]))
    def posts_while_the_database_is_away(self, size: int) -> None:
        self.here.store.down = ConnectFailed("away")
        assert self.post(b"c" * size).status == 503
        self.here.store.down = None

    @rule(size=st.sampled_from([10, 4_000]), step=st.sampled_from(["rename", "fsync"]))
    def posts_while_the_disk_of_the_files_is_full(self, size: int, step: str) -> None:
        body = b"d" * size
        room = is_inline(body)  # it never comes to the folder
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Path if step == "rename" else os, step, _full)
            assert self.post(body).status == (200 if room else 503)
        if room:
            self.oracle.registered.append(body)

    @rule(which=st.floats(0, 0.999))
    def an_event_is_done(self, which: float) -> None:
        ids = sorted(self.here.store.rows)
        if ids:
            number = ids[int(which * len(ids))]
            event = self.here.store.rows.pop(number)
            self.oracle.registered.remove(self.here.body_of(event))
            if event.file is not None:
                self.here.payloads.remove(event.file)
                self.oracle.file_bytes -= event.size

    @invariant()
    def nothing_is_half_registered(self) -> None:
        self.here.check()
        assert sorted(self.here.bodies()) == sorted(self.oracle.registered)
        assert self.here.store.file_bytes == self.oracle.file_bytes <= 16 * 1024

    def teardown(self) -> None:
        self.opening.__exit__(None, None, None)


def _full(*_arguments: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_refusal_leaves_nothing_half_registered(tmp_path_factory: pytest.TempPathFactory) -> None:
    run_state_machine_as_test(Backpressure.opened(tmp_path_factory), settings=settings(stateful_step_count=15))
