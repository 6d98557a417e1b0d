"""How each role of a node looks: a shape, a word and a colour, so that nothing is told by colour alone."""

from __future__ import annotations

from dataclasses import dataclass

from mergeguard.core.findings import PictureNode, Role
from mergeguard.render.text import columns, visible

WIDEST = 22
"""Columns of the longest name that is drawn in full."""


@dataclass(frozen=True, slots=True)
class Look:
    """A role's word, its shape in Graphviz and in SVG, and its colours (fill and line) on light and on dark."""

    word: str
    dot_shape: str
    dot_style: str
    light: tuple[str, str]
    dark: tuple[str, str]


# Fills differ in lightness as well as in hue (Okabe and Ito's colours, paled); text on each has contrast above 7:1.
LOOKS: dict[Role, Look] = {
    Role.CYCLE: Look("in the cycle", "octagon", "filled,bold", ("#ffe1d1", "#b34700"), ("#5a2400", "#ff9a5c")),
    Role.TREE: Look("merged away", "box", "filled", ("#f2f4f7", "#5b6673"), ("#2a3038", "#9aa7b5")),
    Role.CURRENT: Look("current", "ellipse", "filled,bold", ("#d5f0e4", "#00664a"), ("#053d2d", "#4cc79f")),
    Role.SPLIT: Look("split", "hexagon", "filled,bold", ("#fff0bf", "#806000"), ("#473700", "#f0c94a")),
    Role.DEAD: Look("not live", "box", "filled,dashed", ("#f3dcea", "#8a3a6b"), ("#451f37", "#dd8fbf")),
    Role.DELETED: Look("deleted", "note", "filled,dotted", ("#e4e4e4", "#4a4a4a"), ("#1c1c1c", "#bdbdbd")),
}


def role_word(node: PictureNode) -> str:
    """Return the word below a node's name."""
    word = LOOKS[node.role].word
    return f"{word}, asked for" if node.focus else word


def short_name(node: PictureNode, widest: int = WIDEST) -> str:
    """Return a name that fits into a node: both ends of a guid, the beginning of any other label."""
    if node.label == str(node.guid):
        return f"{node.label[:8]}..{node.label[-4:]}"
    label = visible(node.label)
    while columns(label) > widest:
        label = label.removesuffix("...")[:-1] + "..."
    return label


def full_name(node: PictureNode) -> str:
    """Return a node's label and, where that is not its guid, the guid behind it."""
    guid = str(node.guid)
    return guid if node.label == guid else f"{visible(node.label, 200)} ({guid})"
