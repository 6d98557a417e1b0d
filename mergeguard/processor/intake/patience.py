"""Waits for a body as long as it goes on coming: a sender that stops, or that only drips, holds no place for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from typing import Final

from mergeguard.processor.intake.refusals import TooSlow

LEAST: Final = 1024
"""Bytes that a sender must bring within its time, or the end of the body."""


async def coming(body: AsyncIterable[bytes], seconds: float) -> AsyncIterator[bytes]:
    """Yield the pieces of a body; the time that is spent on each of them is not the sender's.

    Raises:
        TooSlow: in so many seconds of waiting fewer than ``LEAST`` bytes came.
    """
    clock, pieces = asyncio.get_running_loop().time, aiter(body)
    left, brought = seconds, 0
    while True:
        asked = clock()
        try:
            async with asyncio.timeout(left):
                data = await anext(pieces)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise TooSlow(f"less than {LEAST} bytes of the body came in {seconds:g} seconds") from None
        left -= clock() - asked
        brought += len(data)
        if brought >= LEAST:
            left, brought = seconds, 0
        yield data
