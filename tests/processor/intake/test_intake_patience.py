"""A body is waited for as long as it goes on coming, and not longer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from intake_world import World, posted, world

from mergeguard.processor.intake.patience import LEAST, coming
from mergeguard.processor.intake.refusals import TooSlow


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, max_body_bytes=1_000_000, body_seconds=0.05) as opened:
        yield opened


async def sent(pieces: Sequence[bytes], *, stops: bool) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
    if stops:
        await asyncio.Event().wait()


async def read(pieces: Sequence[bytes], seconds: float, *, stops: bool = False) -> list[bytes]:
    return [piece async for piece in coming(sent(pieces, stops=stops), seconds)]


@given(st.lists(st.binary(max_size=3 * LEAST), max_size=8))
def test_what_comes_is_passed_on(pieces: list[bytes]) -> None:
    assert asyncio.run(read(pieces, 60)) == pieces


@pytest.mark.parametrize("pieces", [[], [b"x"], [b"x" * LEAST] * 3])
def test_who_stops_is_given_up(pieces: list[bytes]) -> None:
    with pytest.raises(TooSlow, match=r"less than 1024 bytes of the body came in 0\.01 seconds"):
        asyncio.run(read(pieces, 0.01, stops=True))


class Turned:
    """A clock that a test turns, in place of the loop's."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop, self.ahead, self._time = loop, 0.0, loop.time
        loop.time = lambda: self._time() + self.ahead  # type: ignore[method-assign]


async def dripped(sizes: Sequence[int], seconds: float, each: float) -> int:
    """Send pieces so many seconds apart; return how many were read."""
    clock, read = Turned(asyncio.get_running_loop()), 0

    async def drip() -> AsyncIterator[bytes]:
        for size in sizes:
            clock.ahead += each
            await asyncio.sleep(0)
            await asyncio.sleep(0)  # once the loop has seen how late it is, and once to be told
            yield bytes(size)

    async for _ in coming(drip(), seconds):
        read += 1
    return read


def test_who_drips_is_given_up_although_each_drop_is_in_time() -> None:
    with pytest.raises(TooSlow):
        asyncio.run(dripped([1] * 100, 60, 7))
    assert asyncio.run(dripped([LEAST] * 100, 60, 7)) == 100


def in_time(sizes: Sequence[int], seconds: float, each: float) -> int | None:
    """How many pieces are read before the end; ``None`` where the sender is given up."""
    left, brought = seconds, 0
    for size in sizes:
        left, brought = left - each, brought + size
        if left <= 0:
            return None
        if brought >= LEAST:
            left, brought = seconds, 0
    return len(sizes)


@given(
    st.lists(st.sampled_from([0, 1, LEAST // 2, LEAST - 1, LEAST, 2 * LEAST]), max_size=30),
    st.sampled_from([10, 24, 60]),
)
@example([LEAST, 0], 10)
@example([LEAST - 1, 0], 10)
@example([LEAST, LEAST - 1, 0], 10)
def test_each_stretch_of_time_has_to_bring_the_least_number_of_bytes(sizes: list[int], seconds: int) -> None:
    wanted = in_time(sizes, seconds, 7)
    if wanted is None:
        with pytest.raises(TooSlow):
            asyncio.run(dripped(sizes, seconds, 7))
    else:
        assert asyncio.run(dripped(sizes, seconds, 7)) == wanted


def test_time_that_is_spent_on_a_piece_is_not_the_sender_s() -> None:
    async def slowly() -> int:
        clock, read = Turned(asyncio.get_running_loop()), 0
        async for _ in coming(sent([b"x"] * 20, stops=False), 60):
            clock.ahead += 100
            read += 1
        return read

    assert asyncio.run(slowly()) == 20


@pytest.mark.parametrize("pieces", [[], [b"x" * 100], [b"x" * 20_000]])
def test_a_sender_that_stops_is_told_busy_and_leaves_nothing(here: World, pieces: list[bytes]) -> None:
    head, *rest = asyncio.run(posted(here.caller().app, pieces))
    headers = {name.decode(): value.decode() for name, value in head["headers"]}
    assert (head["status"], headers["connection"], headers["retry-after"]) == (503, "close", "30")
    assert rest[0]["body"].startswith(b"server busy: less than 1024 bytes of the body came in 0.05 seconds")
    assert (here.store.rows, here.files, here.tally.counted) == ({}, set(), {"busy": 1})


def test_who_is_refused_and_then_stops_holds_nothing_up(here: World) -> None:
    head, *_ = asyncio.run(posted(here.caller().app, [b"x" * 1_000_001]))
    assert (head["status"], here.tally.counted) == (413, {"refused": 1})
