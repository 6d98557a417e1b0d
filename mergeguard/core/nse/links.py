"""Reads the associations of one message, of which there may be as many as rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NoReturn, TypeAlias
from xml.parsers.expat import XMLParserType

from mergeguard.core.nse.attributes import needed, plain, spelled
from mergeguard.core.nse.message import Association, Target
from mergeguard.core.nse.parsing import Amiss
from mergeguard.core.nse.targets import Targets

Start: TypeAlias = Callable[[str, list[str]], None]
End: TypeAlias = Callable[[str], None]
_ELEMENT: Final = "resourceAssociation"
_USUAL: Final = ["typeGuid", "parentResourceRef", "childResourceGuid"]
"""What nearly all of them give, in this order."""
_PARENT: Final = ("parentResourceRef", "parentResourceGuid")
_CHILD: Final = ("childResourceRef", "childResourceGuid")


class Links:
    """All associations of a message, in their order."""

    def __init__(self, parser: XMLParserType, targets: Targets) -> None:
        self.links: list[Association] = []
        self._parser = parser
        self._targets = targets

    def handlers(
        self, count: Callable[[], None], refuse: Callable[[str, str], NoReturn], around: End
    ) -> tuple[Start, End]:
        """Return what reads associations, to be called between the tags of an element that holds nothing else.

        Args:
            count: counts a part of the message, and raises where it is one too many.
            refuse: is told an element and what is wrong with it, and raises.
            around: is called when the element ends that holds the associations.
        """
        append, parser, by_label = self.links.append, self._parser, self._targets.meant
        new, link, target = tuple.__new__, Association, Target  # as in rows
        inside = False

        def start(name: str, attributes: list[str]) -> None:
            nonlocal inside
            if inside or (name != _ELEMENT and name.casefold() != _ELEMENT.casefold()):
                refuse(_ELEMENT if inside else "resourceAssociations", f"<{name[:80]}> may not stand in it")
            inside = True
            try:
                count()
                if attributes[::2] == _USUAL:
                    kind, label, child = attributes[1::2]
                    parent, found = by_label.get(label), plain(child)
                    if parent is not None and found is not None:
                        known, line = needed("typeGuid", kind), parser.CurrentLineNumber
                        append(new(link, (known, parent[0], new(target, (None, found)), line)))
                        return
                append(self._other(attributes))
            except Amiss as problem:
                refuse(_ELEMENT, str(problem))

        def end(name: str) -> None:
            nonlocal inside
            if inside:
                inside = False
            else:
                around(name)

        return start, end

    def _other(self, given: list[str]) -> Association:
        line, attributes = self._parser.CurrentLineNumber, spelled(dict(zip(given[::2], given[1::2], strict=True)))
        kind = needed("typeGuid", attributes.get("typeGuid"))
        parent, child = (self._targets.find(attributes, names, line, _ELEMENT) for names in (_PARENT, _CHILD))
        return Association(kind, parent, child, line)
