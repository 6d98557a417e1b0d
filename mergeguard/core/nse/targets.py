"""Which resources the parts of a message mean, and whether all of them are there."""

from __future__ import annotations

from mergeguard.core.nse.attributes import Attributes, guid
from mergeguard.core.nse.message import Target
from mergeguard.core.nse.parsing import Amiss
from mergeguard.errors import MalformedEvent


class Targets:
    """The labels of one message: those that its resources have, and those by which its parts mean them."""

    def __init__(self) -> None:
        self._labels: set[str] = set()
        self.meant: dict[str, tuple[Target, int, str]] = {}
        """What is meant by each label that was used, with the line and the element that used it first."""

    def name(self, label: str) -> None:
        """Note the label of a resource; empty: it has none.

        Raises:
            Amiss: another one has it.
        """
        if label in self._labels:
            raise Amiss(f"a second resource has the ref {label[:80]!r}")
        if label:
            self._labels.add(label)

    def find(self, attributes: Attributes, names: tuple[str, str], line: int, element: str) -> Target:
        """Return which resource is meant, by the attributes of these names: as a label, as a guid.

        Raises:
            Amiss: neither says it, or both do.
        """
        by_ref, by_guid = names
        label, found = attributes.get(by_ref), None
        if by_guid in attributes:
            found = guid(attributes, by_guid)
        if not label:
            if found is None:
                raise Amiss(f"it names no resource: it has neither {by_ref} nor {by_guid}")
            return Target(None, found)
        if found is not None:
            raise Amiss(f"it has both {by_ref} and {by_guid}; one of them says which resource is meant")
        known = self.meant.get(label)
        if known is None:
            known = self.meant[label] = Target(label), line, element
        return known[0]

    def check(self) -> None:
        """Check that every label that is used is that of a resource, before the use or after it.

        Raises:
            MalformedEvent: it is not; with the line and the element that used it first.
        """
        for label, (_, line, element) in self.meant.items():
            if label not in self._labels:
                raise MalformedEvent(
                    f"line {line}, <{element}>: {label[:80]!r} is the ref of no resource of the message"
                )
