"""A thread that prepares ahead changes nothing but who waits."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.storage.database.ahead import ahead

DEPTHS = st.integers(1, 4)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "mergeguard ahead"]


@given(items=st.lists(st.integers() | st.none()), depth=DEPTHS)
def test_the_items_come_as_they_are_in_their_order(items: list[int | None], depth: int) -> None:
    assert list(ahead(iter(items), depth=depth)) == items
    assert not threads()


@given(items=st.lists(st.integers()), depth=DEPTHS)
def test_an_error_comes_where_its_item_would_have_come(items: list[int], depth: int) -> None:
    def broken() -> Iterator[int]:
        yield from items
        raise ZeroDivisionError("here")

    flow = ahead(broken(), depth=depth)
    assert [next(flow) for _ in items] == items
    with pytest.raises(ZeroDivisionError, match="here"):
        next(flow)
    assert not threads()


@given(taken=st.integers(0, 5), depth=DEPTHS)
def test_who_stops_early_stops_the_thread(taken: int, depth: int) -> None:
    made = []

    def endless() -> Iterator[int]:
        number = 0
        while True:
            made.append(number)
            yield number
            number += 1

    flow = ahead(endless(), depth=depth)
    assert [next(flow) for _ in range(taken)] == list(range(taken))
    flow.close()
    assert not threads()
    # What it holds ready, what it waits to hand over, and one that it was making when it was told.
    assert len(made) <= taken + depth + 2


def test_it_is_never_further_ahead_than_asked() -> None:
    made = threading.Semaphore(0)
    count = 0

    def counted() -> Iterator[int]:
        nonlocal count
        for number in range(10):
            count += 1
            made.release()
            yield number

    flow = ahead(counted(), depth=2)
    assert next(flow) == 0
    for _ in range(4):  # the one taken, two ready, one in hand
        assert made.acquire(timeout=30)
    assert not made.acquire(timeout=0.05)
    assert count == 4
    assert list(flow) == list(range(1, 10))
