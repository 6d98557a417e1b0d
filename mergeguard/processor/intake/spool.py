"""A body between the wire and the row: in memory while it may live in its row, in a payload file from then on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mergeguard.processor.intake.bodies import Decoder, compressed
from mergeguard.processor.intake.payloads import Payload, Payloads
from mergeguard.processor.intake.refusals import Refused

MOST_BYTES: Final = 4
"""Of one character in UTF-8."""


@dataclass(frozen=True, slots=True)
class Spooled:
    """A whole body, decoded; exactly one of ``body`` and ``file`` is given."""

    size: int
    body: bytes | None = None
    file: str | None = None
    """On the disk for good, and held by no row yet."""


class Spool:
    """One body on its way in. It ends by ``finish`` or by ``discard``."""

    def __init__(self, payloads: Payloads, decoder: Decoder, inline_characters: int) -> None:
        self._payloads = payloads
        self._decoder = decoder
        self._characters = inline_characters
        self._room = inline_characters * MOST_BYTES
        """From so many bytes on a body has too many characters, whichever they are."""
        self._memory = bytearray()
        self._payload: Payload | None = None

    def light(self, data: bytes) -> bool:
        """Say whether taking these bytes costs neither a file nor an inflation."""
        begins_compressed = not self._memory and compressed(data) is not None
        fits = self._payload is None and len(self._memory) + len(data) < self._room
        return fits and self._decoder.plain and not begins_compressed

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body, as they were sent.

        Raises:
            Refused: they are damaged, or too many.
            WriteFailed: they cannot be kept.
        """
        for piece in self._decoder.feed(data):
            self._take(piece)

    def finish(self) -> Spooled:
        """Return the whole body; a file of it is synced to the disk, its name too.

        Raises:
            Refused: the body is empty or cut short.
            WriteFailed: it cannot be kept.
        """
        for piece in self._decoder.finish():
            self._take(piece)
        if self._payload is None:
            body = bytes(self._memory)
            if not body:
                raise Refused("the body is empty")
            if characters(body) < self._characters:
                return Spooled(len(body), body=body)
            self._spill()
        assert self._payload is not None  # noqa: S101 - it was begun above
        self._payload.keep()
        return Spooled(self._payload.size, file=self._payload.name)

    def discard(self) -> None:
        """Leave nothing of the body behind."""
        self._memory.clear()
        if self._payload is not None:
            self._payload.discard()

    def _take(self, piece: bytes) -> None:
        if self._payload is not None:
            self._payload.write(piece)
            return
        self._memory += piece
        if len(self._memory) >= self._room:
            self._spill()

    def _spill(self) -> None:
        self._payload = self._payloads.begin()
        self._payload.write(bytes(self._memory))
        self._memory.clear()


def characters(body: bytes) -> int:
    """Return how many UTF-8 characters a body has; each byte counts as one where it is no UTF-8."""
    try:
        return len(body.decode())
    except UnicodeDecodeError:
        return len(body)
