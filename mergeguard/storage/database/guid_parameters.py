"""Guids as parameters of the statements on our own tables, in the form in which each column stores them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mergeguard.storage.lookup.database import LookupWriter


class OwnTable:
    """The quoted name of one of our tables, and how a guid is sent to it.

    Args:
        writer: tells how columns store guids; bound to the connection that is written.
        name: as the profile has it.
        column: its guid column.

    Raises:
        UnknownSchema: there is no such table or column.
    """

    def __init__(self, writer: LookupWriter, name: str, column: str) -> None:
        quote = writer.connection.dialect.identifier_preparer.quote_identifier
        schema, plain = writer.snapshot.resolve(name)
        self.name = ".".join(quote(part) for part in (schema, plain) if part is not None)
        self._form = writer.form_of(writer.stored_type(name, column), name, column)
        self._swapped = writer.source.profile.merge.byte_order == "sqlserver"

    def parameter(self, guid: uuid.UUID) -> object:
        """Return a guid as the driver is to send it."""
        if self._form != "bytes":
            return str(guid)
        return guid.bytes_le if self._swapped else guid.bytes

    def guid(self, value: object) -> uuid.UUID | None:
        """Return the guid that the driver gave."""
        if value is None or isinstance(value, uuid.UUID):
            return value
        if isinstance(value, bytes | memoryview):
            raw = bytes(value)
            return uuid.UUID(bytes_le=raw) if self._swapped else uuid.UUID(bytes=raw)
        return uuid.UUID(str(value))
