"""What messages said that came before, kept by what is in their bytes: an inventory that comes again is not read again.

Rows are not kept, for they are most of a message: of one that comes again unchanged nothing but their hashes is asked
for. Where a class has changed all the same, because something else was loaded meanwhile, the message is read again.

An agent's envelope may tell the time or name each event anew. So it is left out, if it is so plain that nothing can
be wrong in it.
"""

from __future__ import annotations

import hashlib
import re
import threading
import uuid
from dataclasses import dataclass, replace
from typing import Final

from mergeguard.core.importing.catalogue import Catalogue
from mergeguard.core.importing.claims import Claims
from mergeguard.core.importing.content import Content
from mergeguard.core.importing.keys import KeyRules
from mergeguard.storage.importing.store import Expected

MOST_PARTS: Final = 250_000
"""Resources, keys, blocks, links and guids of all messages in memory; each is some hundred bytes."""
LONGEST: Final = 2**20
"""Bytes of a message that is kept in mind."""
_ENVELOPE: Final = re.compile(
    rb"(<\?xml version=\"1\.0\"(?: encoding=\"[A-Za-z0-9._-]+\")?\?>)?[ \t\n]*<message>[ \t\n]*"
    rb"(?:<(?!(?i:body|xml))([A-Za-z][A-Za-z0-9]*)>[\t\n\x20-\x25\x27-\x3b\x3d\x3f-\x7e]*</\2>[ \t\n]*)*(?=<body>)"
)
"""An XML declaration and elements of plain text: well-formed, and the reader lets all of it be."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a message says, and what will be asked of a database for it."""

    content: Content
    guids: frozenset[uuid.UUID]
    expected: Expected
    claims: Claims | None = None
    """``None`` where it cannot be unchanged."""
    whole: bool = True
    """Whether its rows are there."""


class Memory:
    """Messages that were read, those that came last; it may be used by several threads at once.

    Args:
        most: how many parts are kept.
    """

    def __init__(self, most: int = MOST_PARTS) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._said: dict[bytes, Said] = {}
        self._parts = 0
        self._read_by: tuple[Catalogue, KeyRules] | None = None

    def said(self, body: bytes, catalogue: Catalogue, rules: KeyRules) -> Said | None:
        """Return what a message says, without its rows; ``None`` where it did not come before, or is forgotten."""
        if len(body) > LONGEST:
            return None
        name = named(body)
        with self._lock:
            self._go_by(catalogue, rules)
            known = self._said.pop(name, None)
            if known is not None:
                self._said[name] = known  # the last one to be forgotten
        return known

    def keep(self, body: bytes, catalogue: Catalogue, rules: KeyRules, said: Said) -> None:
        """Remember what a message says, if all of it may be the same when it comes again."""
        if len(body) <= LONGEST and said.claims is not None:
            name = named(body)
            with self._lock:
                self._go_by(catalogue, rules)
                self._add(name, said)

    def _go_by(self, catalogue: Catalogue, rules: KeyRules) -> None:
        """Forget all that was read by another catalogue, or by other rules."""
        before = self._read_by
        if before is not None and before[0] is catalogue and before[1] is rules:
            return
        if before != (catalogue, rules):
            self._said.clear()
            self._parts = 0
        self._read_by = catalogue, rules

    def _add(self, name: bytes, said: Said) -> None:
        if name in self._said:
            return
        self._said[name] = _without_rows(said)
        self._parts += parts_of(said)
        while self._parts > self._most:
            oldest = next(iter(self._said))
            self._parts -= parts_of(self._said.pop(oldest))


def named(body: bytes) -> bytes:
    """Return what is the same for messages that say the same, in the same bytes on the same lines."""
    envelope = _ENVELOPE.match(body)
    if envelope is None:
        return hashlib.blake2b(body, digest_size=32).digest()
    told = hashlib.blake2b(b"%d %b" % (envelope[0].count(b"\n"), envelope[1] or b""), digest_size=32)
    told.update(memoryview(body)[envelope.end() :])
    return told.digest()


def parts_of(said: Said) -> int:
    """Return how much room a message takes."""
    content = said.content
    keys = sum(len(each.keys) for each in content.resources)
    return 12 + len(content.resources) + keys + 2 * len(content.blocks) + len(content.links) + len(said.guids)


def _without_rows(said: Said) -> Said:
    blocks = tuple(replace(each, sent=()) for each in said.content.blocks)
    return replace(said, content=replace(said.content, blocks=blocks), whole=False)
