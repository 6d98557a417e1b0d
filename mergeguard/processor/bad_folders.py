"""``BadNSEFolders.config``: which sub-folder of the failure backup an event goes to, by the exception that killed it.

The vendor's own layout is not public. Ours is any XML element with the two attributes ``exception`` and ``folder``;
``exception="*"`` stands for all others::

    <badNSEFolders>
      <map exception="MalformedEvent" folder="BadXml" />
      <map exception="*" folder="Other" />
    </badNSEFolders>
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mergeguard.errors import UsageError
from mergeguard.processor.settings_xml import Element, read_elements

OTHERS = "*"
_NAME = re.compile(r"[\w(][\w .()+-]{0,99}")
_NOT_IN_NAMES = re.compile(r"[^\w.-]+")
_MOST = 100
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Names that Windows gives to devices."""


@dataclass(frozen=True, slots=True)
class BadFolders:
    """Names of sub-folders by exception."""

    names: Mapping[str, str] = field(default_factory=dict)
    """By the exception's whole name, or by its last part (``XmlException`` of ``System.Xml.XmlException``)."""

    def folder_of(self, kind: str) -> str:
        """Return the sub-folder for an exception; one that nobody named has a folder of its own name."""
        short = kind.rpartition(".")[2]
        for name in (kind, short, OTHERS):
            if name.casefold() in self.names:
                return self.names[name.casefold()]
        return _safe(short)


def read_bad_folders(path: Path | None) -> BadFolders:
    """Read a ``BadNSEFolders.config``; without one each exception has a folder of its own name.

    Raises:
        UsageError: it cannot be read, it is no XML, or a folder's name leads elsewhere.
    """
    if path is None:
        return BadFolders()
    names: dict[str, str] = {}
    for element in read_elements(path):
        if "exception" in element.attributes or "folder" in element.attributes:
            kind, folder = _pair(path, element)
            for name in (kind, kind.rpartition(".")[2]):
                names.setdefault(name.casefold(), folder)
    return BadFolders(names)


def _pair(path: Path, element: Element) -> tuple[str, str]:
    kind = element.attributes.get("exception", "").strip()
    folder = element.attributes.get("folder", "").strip()
    if not kind or not folder:
        raise UsageError(f"{path}:{element.line}: an exception and a folder belong together")
    if not _NAME.fullmatch(folder) or folder.endswith(".") or _RESERVED.fullmatch(folder):
        raise UsageError(
            f"{path}:{element.line}: {folder!r:.120} is no name of a sub-folder",
            hint="give one plain name, without a path",
        )
    return kind, folder


def _safe(kind: str) -> str:
    name = _NOT_IN_NAMES.sub("_", kind).strip(".")[:_MOST] or "Unknown"
    return f"{name}_" if _RESERVED.fullmatch(name) else name
