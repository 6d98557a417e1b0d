"""Messages for tests: as Hypothesis strategies, and written as untidily as XML allows."""

from __future__ import annotations

import random
import uuid
from collections.abc import Sequence
from xml.sax.saxutils import quoteattr

from hypothesis import strategies as st

from mergeguard.core.nse import Association, ClassData, Key, Message, Resource, Row, Target

PC = uuid.UUID("740184d3-f507-47a9-b170-8bf2f81e099c")
OS = uuid.UUID("2b2a934a-b000-57f1-83f0-b840d59f1df2")
EVENT = f"""<?xml version="1.0"?>
<message>
<to>custominventory</to>
<body>
<inventory>
<resources>
<resource ref="pc" guid="{PC}" name="PC">
<key name="fqdn" value="pc.example"/>
</resource>
</resources>
<resourceAssociations>
<resourceAssociation typeGuid="{OS}" parentResourceRef="pc" childResourceGuid="{OS}"/>
</resourceAssociations>
<inventoryClass guid="{OS}">
<data>
<resource resourceRef="pc">
<row c0="a" c1="b"/>
<row c1="d" c0="c"/>
</resource>
</data>
</inventoryClass>
</inventory>
</body>
</message>
"""
"""One of each element, on a line of its own, so that a line says which."""

TEXTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
    | st.sampled_from("\t\n\r<&>\"'%"),
    max_size=12,
)
GUIDS = st.uuids(version=4)
NAMES = TEXTS.map(str.strip).filter(bool)
KEYS = st.builds(Key, st.sampled_from(["fqdn", "name.domain", "uniqueid"]) | NAMES, NAMES)
CELLS = st.lists(st.none() | TEXTS, max_size=6).map(lambda cells: tuple(cells[: len(cells) - _nones_at_the_end(cells)]))
LABELS = ["0", "1", "pc", "user & co"]


def _nones_at_the_end(cells: Sequence[str | None]) -> int:
    return next((at for at, cell in enumerate(reversed(cells)) if cell is not None), len(cells))


@st.composite
def messages(draw: st.DrawFn) -> Message:
    """Any message that ``read`` can give."""
    labels = draw(st.lists(st.sampled_from(LABELS), unique=True, max_size=3))
    resources = tuple(
        Resource(
            label,
            guid := draw(st.none() | GUIDS),
            draw(st.none() | GUIDS),
            draw(TEXTS),
            tuple(draw(st.lists(KEYS, min_size=guid is None, max_size=3))),
        )
        for label in [*labels, *[""] * draw(st.integers(0, 1))]
    )
    targets = GUIDS.map(lambda guid: Target(guid=guid))
    if labels:
        targets |= st.sampled_from(labels).map(Target)
    associations = draw(st.lists(st.tuples(GUIDS, targets, targets).map(lambda parts: Association(*parts)), max_size=3))
    rows = st.lists(CELLS.map(Row), max_size=4).map(tuple)
    data = draw(st.lists(st.builds(ClassData, GUIDS, targets, rows, st.booleans()), max_size=4))
    recipient = draw(st.sampled_from(["", "custominventory"]) | TEXTS.map(lambda text: text.strip().replace("\r", "")))
    return Message(recipient.strip(), resources, tuple(associations), tuple(data))


class Untidy:
    """Writes messages by the rules of the format and by no habits: any order, any case of letters, things between."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def write(self, message: Message) -> str:
        body = self.element("body", {}, self.element("inventory", {"hash": "1"}, self.inventory(message)))
        to = self.element("to", {}, message.recipient.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
        extras = [
            "<priority>1</priority>",
            "<from><a b='c'>x</a> y </from>",
            "<!-- <to>nobody</to> -->",
            "<?to nobody?>",
        ]
        return self.element("message", {}, to + self.chance.choice(extras) + body + self.chance.choice(extras))

    def inventory(self, message: Message) -> str:
        """Mix the three kinds of parts, each in its order: nothing says which kind comes first."""
        resources = [self.element("resources", {}, self.resource(each)) for each in message.resources]
        links = [self.element("resourceAssociations", {}, self.association(each)) for each in message.associations]
        data = [self.data(each) for each in message.data]
        merged = []
        while queues := [queue for queue in (resources, links, data) if queue]:
            merged += [self.chance.choice(queues).pop(0), self.between()]
        return "".join(merged)

    def resource(self, resource: Resource) -> str:
        keys = [self.element("key", {"name": f" {key.name} ", "value": f"{key.value}\n"}) for key in resource.keys]
        if self.chance.random() < 0.3:
            keys = [self.element("keys", {}, "".join(keys))]
        attributes = {
            "ref": resource.ref or None,
            "guid": resource.guid,
            "typeGuid": resource.type,
            "name": resource.name,
        }
        return self.element("resource", attributes | {"other": "let be"}, "".join(keys))

    def association(self, association: Association) -> str:
        ends = self.target("parentResource", association.parent) | self.target("childResource", association.child)
        return self.element("resourceAssociation", {"typeGuid": association.type} | ends)

    def data(self, data: ClassData) -> str:
        rows = [self.row(row) + self.between() for row in data.rows]
        partial = (
            self.chance.choice(["true", "1", "YES"]) if data.partial else self.chance.choice([None, "False", "0", ""])
        )
        about = self.target("resource", data.resource) | {"partialUpdate": partial}
        inside = self.element("data", {}, self.element("resource", about, "".join(rows)))
        return self.element(self.chance.choice(["inventoryClass", "eventClass"]), {"guid": data.data_class}, inside)

    def row(self, row: Row) -> str:
        return self.element("row", {f"c{at}": cell for at, cell in enumerate(row.cells)})

    def target(self, side: str, target: Target) -> dict[str, object]:
        return {f"{side}Ref": target.ref, f"{side}Guid": target.guid}

    def element(self, name: str, attributes: dict[str, object], inside: str = "") -> str:
        name = self.cased(name)
        given = [(self.cased(key), value) for key, value in attributes.items() if value is not None]
        self.chance.shuffle(given)
        tag = name + "".join(f"{self.blank()}{key}={self.quoted(value)}" for key, value in given)
        return f"<{tag}/>" if not inside and self.chance.random() < 0.5 else f"<{tag}>{inside}</{name}>"

    def quoted(self, value: object) -> str:
        text = self.guid(value) if isinstance(value, uuid.UUID) else str(value)
        return quoteattr(text, {"\t": "&#9;", "\n": "&#xA;", "\r": "&#13;"})

    def guid(self, value: uuid.UUID) -> str:
        text = self.cased(str(value))
        return self.chance.choice([text, f"{{{text}}}", f" {text} ", value.hex, f"({text})"])

    def cased(self, text: str) -> str:
        return self.chance.choice([text, text, text, text.upper(), text.lower(), text.title()])

    def blank(self) -> str:
        return self.chance.choice([" ", " ", "\n", "\t "])

    def between(self) -> str:
        return self.chance.choice(["", "\n", "  ", "<!-- c0='x' -->", "\r\n\t"])
