"""Reads a text file, packed or plain, as blocks of whole lines; says what is wrong with its bytes and where.

Nothing here knows about columns. Offsets and lines are those of the unpacked text.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, cast

from mergeguard.errors import UnreadableFile
from mergeguard.storage import failures

MAX_LINE = 1 << 26
"""A file without a line end in so many bytes is no table."""
_BOM = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_UTF_8_HINT = "save it as UTF-8, or convert it: iconv -f WINDOWS-1252 -t UTF-8 FILE"


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines; only the last line of a file may lack its end."""

    path: Path
    data: bytes
    offset: int
    """Bytes before this block."""
    line: int
    """Lines before this block."""

    def text(self) -> str:
        """Decode the block.

        Raises:
            UnreadableFile: it is not UTF-8; the message names the first wrong byte.
        """
        try:
            return str(self.data, "utf-8")
        except UnicodeDecodeError as error:
            line = self.line + 1 + line_ends(self.data, error.start)
            raise UnreadableFile(
                f"{self.path}: line {line} is not UTF-8: "
                f"byte 0x{self.data[error.start]:02x} at offset {self.offset + error.start}",
                hint=_UTF_8_HINT,
            ) from None

    def after(self, length: int) -> Block:
        """Return what follows the first ``length`` bytes, which must end with a line."""
        lines = self.line + line_ends(self.data, length)
        return replace(self, data=self.data[length:], offset=self.offset + length, line=lines)


def line_ends(data: bytes, end: int) -> int:
    """Count the lines that end before ``end``, as the csv module does: by newline, carriage return, or both."""
    return data.count(b"\n", 0, end) + data.count(b"\r", 0, end) - data.count(b"\r\n", 0, end)


def blocks(path: Path, size: int) -> Iterator[Block]:
    """Yield the file in blocks of about ``size`` bytes (three at least), a byte order mark left out.

    Raises:
        UnreadableFile: the file is a folder, not gzip, damaged, cut off, UTF-16, or has no lines.
        TargetNotFound: there is no such file.
        PermissionDenied: the operating system does not allow the read.
    """
    offset, line, rest = 0, 0, b""
    with _opened(path) as file:
        while chunk := _read(file, path, size):
            if offset == 0 and not rest:
                chunk, offset = _without_mark(path, chunk)
            data = rest + chunk
            cut = _last_line_end(data)
            if cut == 0 and len(data) > MAX_LINE:
                raise UnreadableFile(
                    f"{path}: line {line + 1} has no end within {MAX_LINE >> 20} MiB", hint="is it a table?"
                )
            if cut:
                block = Block(path, data[:cut], offset, line)
                yield block
                offset, line = offset + cut, line + line_ends(block.data, cut)
            rest = data[cut:]
    if rest:
        yield Block(path, rest, offset, line)


def _opened(path: Path) -> BinaryIO:
    if path.is_dir():
        raise UnreadableFile(f"{path} is a folder, not a file", hint="name a file in it")
    with failures.translated(str(path)):
        return cast("BinaryIO", gzip.open(path)) if path.suffix.lower() == ".gz" else path.open("rb")


def _read(file: BinaryIO, path: Path, size: int) -> bytes:
    try:
        with failures.translated(str(path)):
            return file.read(size)
    except EOFError:
        raise UnreadableFile(
            f"{path}: the gzip data end too early", hint="the file was cut off; copy it again"
        ) from None
    except zlib.error as error:
        raise UnreadableFile(f"{path}: the gzip data are damaged ({error})", hint="copy the file again") from None


def _without_mark(path: Path, chunk: bytes) -> tuple[bytes, int]:
    """Take a UTF-8 byte order mark off; return what follows and its offset."""
    if chunk.startswith(_UTF_16):
        raise UnreadableFile(f"{path} is UTF-16, not UTF-8", hint="convert it: iconv -f UTF-16 -t UTF-8 FILE")
    return (chunk[len(_BOM) :], len(_BOM)) if chunk.startswith(_BOM) else (chunk, 0)


def _last_line_end(data: bytes) -> int:
    # A carriage return in last place may be half of a line end.
    return max(data.rfind(b"\n"), data.rfind(b"\r", 0, len(data) - 1)) + 1
