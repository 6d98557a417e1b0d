"""Notification-server events: made from a description, read and checked."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mergeguard.api.opened import DEFAULT
from mergeguard.errors import MalformedEvent, UsageError
from mergeguard.storage.source import Options

if TYPE_CHECKING:
    from mergeguard.core.nse.message import Message

_MOST_DESCRIPTION: Final = 64 * 1024 * 1024
"""Bytes of a description that are read."""


def make_event(description: str | Path) -> bytes:
    """Make an event from a description: the text of a TOML document, or the path of one.

    Raises:
        UsageError: the file cannot be read, is no TOML, or describes no event.
        MalformedEvent: a text in it holds a character that XML has no way to write.
    """
    if isinstance(description, Path):
        return write_event(_described(_text(description), str(description)))
    return write_event(_described(description, "the description"))


def write_event(message: Message) -> bytes:
    """Write a message as an event that ``read_event`` reads.

    Raises:
        MalformedEvent: a text holds a character that XML has no way to write, or a row has too many cells.
    """
    from mergeguard.core.nse.writer import write  # noqa: PLC0415 - imports NumPy

    return write(message)


def read_event(body: bytes | Path) -> Message:
    """Read an event, or the file that holds one, into what it says; it may be compressed as a post may be.

    Raises:
        MalformedEvent: it is damaged, no well-formed XML or no message; the text begins with the line.
        UsageError: the file cannot be read.
    """
    from mergeguard.core.nse.limits import DEFAULT  # noqa: PLC0415 - with the reader only
    from mergeguard.core.nse.reader import read  # noqa: PLC0415 - imports NumPy
    from mergeguard.processor.intake.bodies import Decoder  # noqa: PLC0415 - only with events
    from mergeguard.processor.intake.refusals import Refused  # noqa: PLC0415 - as above

    decoder = Decoder((), DEFAULT.size)
    try:
        inflated = [*decoder.feed(_bytes(body, DEFAULT.size) if isinstance(body, Path) else body), *decoder.finish()]
    except Refused as refused:
        raise MalformedEvent(refused.message) from None
    return read(b"".join(inflated))


def check_event(body: bytes | Path, target: str | Path, *, options: Options = DEFAULT) -> Message:
    """Read an event, or the file that holds one, and check it against the catalogue of a database, as importers do.

    What only the data decide is not looked into: whom its keys belong to, and whether its guids are known.

    Raises:
        MalformedEvent: as ``read_event``, or the catalogue does not take a class, a type or a cell of it.
        UsageError: the file cannot be read.
        UnknownSchema: the database does not have the reference schema, or one of an earlier version.
        CannotCheck: the database could not be read.
    """
    from mergeguard.api.cataloguing import opened_catalogue  # noqa: PLC0415 - only with a catalogue
    from mergeguard.core.importing.content import checked  # noqa: PLC0415 - as above
    from mergeguard.core.importing.keys import KeyRules  # noqa: PLC0415 - as above

    message = read_event(body)
    with opened_catalogue(target, options) as store, store.source.snapshot() as snapshot:
        for block in checked(message, store.read(snapshot.connection), KeyRules()).blocks:
            block.read()
    return message


def _bytes(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read(most + 1)
    except (OSError, ValueError) as failure:
        reason = getattr(failure, "strerror", None) or failure
        raise UsageError(f"{path} cannot be read: {reason}", hint="check the path") from None
    if len(raw) > most:
        raise UsageError(f"{path} is larger than {most >> 20} MB", hint="check the path")
    return raw


def _text(path: Path) -> str:
    raw = _bytes(path, _MOST_DESCRIPTION)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        hint = "save it as UTF-8; PowerShell's > writes UTF-16"
        raise UsageError(f"{path}, line {line}: this is not UTF-8 text", hint=hint) from None


def _described(text: str, origin: str) -> Message:
    from mergeguard.core.nse.description import described  # noqa: PLC0415 - imports NumPy

    try:
        return described(tomllib.loads(text), origin)
    except (ValueError, RecursionError) as error:  # no TOML, or a number of thousands of digits, met early or late
        hint = "'mergeguard nse make --example' prints one to begin with"
        raise UsageError(f"{origin} is no TOML: {error}", hint=hint) from None
