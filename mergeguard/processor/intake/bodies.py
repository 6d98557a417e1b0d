"""Undoes the compression of a body piece by piece, and never holds more of it than a piece.

What a content coding declares is undone first. Agents also compress the event itself and tell nobody, so one more layer
is undone where the first bytes are those of gzip or zlib, which begin no XML. Every layer is counted: a few bytes that
swell to gigabytes end at the limit, wherever in the pile they do it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import Final

from mergeguard.processor.intake.refusals import Refused, TooLarge, UnknownCoding

PIECE: Final = 64 * 1024
"""Most bytes that are inflated at once."""
HEAD: Final = 2
"""So many bytes tell how something is compressed."""
_GZIP, _ZLIB, _RAW = 31, 15, -15
"""What zlib's ``wbits`` says about the wrapping."""
_GZIP_HEAD: Final = b"\x1f\x8b"
_ZLIB_HEADS: Final = frozenset({b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"})
_CODINGS: Final = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}
_MOST_CODINGS: Final = 3


def codings(header: str) -> tuple[str, ...]:
    """Return the codings that a ``Content-Encoding`` names, the one that was applied last first.

    Raises:
        UnknownCoding: one of them is neither gzip nor deflate, or there are more than three.
    """
    named = [word for word in (part.strip().lower() for part in header.split(",")) if word not in {"", "identity"}]
    for word in named:
        if word not in _CODINGS:
            raise UnknownCoding(f"content coding {word[:40]!r} is not known; gzip and deflate are")
    if len(named) > _MOST_CODINGS:
        raise UnknownCoding(f"{len(named)} content codings on one body; at most {_MOST_CODINGS} are undone")
    return tuple(_CODINGS[word] for word in reversed(named))


def compressed(head: bytes) -> str | None:
    """Return how a body is compressed by its first two bytes; ``None``: it is not."""
    if head[:2] == _GZIP_HEAD:
        return "gzip"
    return "deflate" if head[:2] in _ZLIB_HEADS else None


class Inflater:
    """One layer of compression, undone."""

    def __init__(self, coding: str, limit: int) -> None:
        self._coding = coding
        self._limit = self._left = limit
        self._engine: zlib._Decompress | None = None
        self._head = b""
        self._complete = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what the next bytes inflate to, in pieces.

        Raises:
            Refused: the data are damaged, or something follows their end.
            TooLarge: they inflate to more than the limit.
        """
        try:
            yield from self._pieces(self._head + data)
        except zlib.error:
            raise Refused(f"the body is not whole {self._coding}: it is damaged") from None

    def finish(self) -> None:
        """Check that the data have come to their end.

        Raises:
            Refused: they stop in the middle.
        """
        if not self._complete:
            raise Refused(f"the body is not whole {self._coding}: it stops in the middle")

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        while data:
            engine = self._engine_for(data)
            if engine is None:
                return
            yield from self._inflated(engine, data)
            self._complete, data = engine.eof, engine.unused_data

    def _engine_for(self, data: bytes) -> zlib._Decompress | None:
        """Return what is to have the next bytes; ``None``: they are too few to tell, and are kept."""
        if self._complete:
            if self._coding != "gzip":
                raise Refused("something follows the end of the compressed body")
            self._engine, self._complete = None, False  # gzip may be several members in a row
        if self._engine is None:
            self._head = data if len(data) < HEAD else b""
            if self._head:
                return None
            self._engine = zlib.decompressobj(_GZIP if self._coding == "gzip" else _wrapping(data))
        return self._engine

    def _inflated(self, engine: zlib._Decompress, data: bytes) -> Iterator[bytes]:
        full = True  # zlib may hold more than one piece of what it has been given
        while (data or full) and not engine.eof:
            piece = engine.decompress(data, PIECE)
            full, data = len(piece) == PIECE, engine.unconsumed_tail
            self._left -= len(piece)
            if self._left < 0:
                raise TooLarge(f"the body inflates to more than {self._limit:,} bytes")
            if piece:
                yield piece


class Decoder:
    """A body on its way in: every declared coding undone, and one more that its first bytes show."""

    def __init__(self, declared: Sequence[str], limit: int) -> None:
        """Undo ``declared``, the outermost first; no layer may give more than ``limit`` bytes."""
        self._layers = [Inflater(coding, limit) for coding in declared]
        self._limit = limit
        self._head: bytes | None = b""
        """What came before its kind was known; ``None`` from then on."""

    @property
    def plain(self) -> bool:
        """Whether no compression was met so far."""
        return not self._layers

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what the next bytes of the body mean, in pieces.

        Raises:
            Refused: they are damaged; ``TooLarge``: they mean more than the limit.
        """
        return self._through(0, data)

    def finish(self) -> Iterator[bytes]:
        """Yield what is left when the body is at its end.

        Raises:
            Refused: it stops in the middle of a layer.
        """
        if self._head:  # a body of one byte
            head, self._head = self._head, None
            yield head
        for layer in self._layers:
            layer.finish()

    def _through(self, depth: int, data: bytes) -> Iterator[bytes]:
        if depth == len(self._layers):
            yield from self._sniffed(data)
            return
        for piece in self._layers[depth].feed(data):
            yield from self._through(depth + 1, piece)

    def _sniffed(self, data: bytes) -> Iterator[bytes]:
        if self._head is None:
            yield data
            return
        data = self._head + data
        if len(data) < HEAD:
            self._head = data
            return
        self._head = None
        coding = compressed(data)
        if coding is None:
            yield data
            return
        self._layers.append(Inflater(coding, self._limit))
        yield from self._layers[-1].feed(data)


def _wrapping(data: bytes) -> int:
    """Return how a deflate stream is wrapped: RFC 9110 means as zlib does it, and some senders leave it out."""
    wrapped = data[0] & 0x0F == zlib.DEFLATED and data[0] >> 4 <= 7 and (data[0] << 8 | data[1]) % 31 == 0
    return _ZLIB if wrapped else _RAW
