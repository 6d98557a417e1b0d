"""Holds Ctrl-C and SIGTERM back until a component is done, so that a run always stops between two of them."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeAlias

Handler: TypeAlias = Callable[[int, FrameType | None], Any] | int | None
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def signals_held() -> Iterator[None]:
    """Run the block to its end although a signal comes, then let the signal do what it would have done.

    A second signal does not wait: whatever it raises rolls the transaction back, which is as safe and loses only the
    component at hand. Outside the main thread, where Python delivers no signals, nothing is held.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[int, Handler] = {int(number): signal.getsignal(number) for number in _SIGNALS}
    came: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if len(came) > 1:
            _deliver(before[number], number, frame)

    # A handler that was not set from Python is None and cannot be put back: such a signal is left as it is.
    held = [number for number, handler in before.items() if handler not in {None, signal.SIG_IGN}]
    try:
        for number in held:
            signal.signal(number, hold)
        yield
    finally:
        for number in held:
            signal.signal(number, before[number])
    if came:
        _deliver(before[came[0]], came[0], None)


def _deliver(handler: Handler, number: int, frame: FrameType | None) -> None:
    if callable(handler):
        handler(number, frame)
        return
    # The default of the operating system ends the process; its own status says by which signal.
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
