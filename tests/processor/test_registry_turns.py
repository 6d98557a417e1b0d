"""Questions for a guid that were in each other's way: they go on one by one, and each gets its answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import pytest

from mergeguard.core.importing.keys import COMPUTER
from mergeguard.core.nse.message import Key, Resource
from mergeguard.errors import Locked
from mergeguard.processor.registry import ResourceRegistry
from mergeguard.processor.settings import Settings

ASKERS = 3
PATIENCE = 0.2
"""Seconds in which one that is let in beside another one comes."""


def asked(*keys: str) -> Resource:
    return Resource("", None, COMPUTER, "PC", tuple(Key("uniqueid", each) for each in keys), 1)


class Crossing:
    """A queue whose transactions are victims of a deadlock: the first tries together, each later one by itself."""

    def __init__(self) -> None:
        self.first = threading.Barrier(ASKERS)
        self.both = threading.Barrier(2)
        self.met = 0
        self.again: set[int] = set()

    @contextmanager
    def batch(self, _claim: object) -> Iterator[NoReturn]:
        me = threading.get_ident()
        if me not in self.again:
            self.first.wait()
            self.again.add(me)
            raise Locked("a deadlock")
        with suppress(threading.BrokenBarrierError):
            self.both.wait(PATIENCE)
            self.met += 1
        self.both.reset()
        raise KeyError
        yield


def test_who_was_in_the_way_of_others_tries_again_alone() -> None:
    queue: Any = Crossing()
    nothing: Any = None
    registry = ResourceRegistry(nothing, queue, Settings, nothing)
    with ThreadPoolExecutor(ASKERS) as pool:
        answers = [pool.submit(registry.register, asked("a")) for _ in range(ASKERS)]
        for answer in answers:
            with pytest.raises(KeyError):
                answer.result()
    assert len(queue.again) == ASKERS
    assert queue.met == 0
