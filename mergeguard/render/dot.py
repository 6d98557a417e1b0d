"""Pictures as Graphviz DOT: one digraph, a cluster a picture."""

from __future__ import annotations

from collections.abc import Iterator

from mergeguard.core.findings import Explanation, Picture, PictureNode, ScanReport
from mergeguard.render import words
from mergeguard.render.gallery import drawn, framed
from mergeguard.render.roles import LOOKS, full_name, role_word, short_name
from mergeguard.render.text import visible


def render_scan(report: ScanReport) -> str:
    """Write the pictures of a report's findings as one digraph."""
    frames, left_out = drawn(report)
    title = f"MergeGuard: {words.verdict(report).sentence}"
    if left_out:
        title += f" ({words.counted(left_out, 'more picture')} not drawn)"
    return _digraph(title, [(f"{frame.title}. {frame.caption}", frame.picture) for frame in frames])


def render_explanation(explanation: Explanation) -> str:
    """Write the picture of one guid's component as a digraph."""
    frame = framed(explanation)
    return _digraph(frame.title, [(frame.caption, frame.picture)])


def _digraph(title: str, pictures: list[tuple[str, Picture]]) -> str:
    lines = [
        "digraph mergeguard {",
        f"  graph [label={quoted(title)}, labelloc=t, rankdir=LR, fontname=sans, compound=true];",
        "  node [fontname=sans, fontsize=10];",
        "  edge [color=gray30];",
    ]
    for number, (caption, picture) in enumerate(pictures):
        lines += [f"  subgraph cluster_{number} {{", f"    label={quoted(caption)};"]
        lines += [f"    {line}" for line in _body(picture, number)]
        lines.append("  }")
    return "\n".join([*lines, "}"]) + "\n"


def _body(picture: Picture, number: int) -> Iterator[str]:
    ids = {node.guid: f"p{number}n{place}" for place, node in enumerate(picture.nodes)}
    for node in picture.nodes:
        yield f"{ids[node.guid]} [{_looks(node)}];"
    for source, target in picture.edges:
        if source in ids and target in ids:
            yield f"{ids[source]} -> {ids[target]};"
    if picture.omitted:
        text = f"and {words.counted(picture.omitted, 'more guid')}"
        yield f"p{number}more [shape=plaintext, label={quoted(text)}];"


def _looks(node: PictureNode) -> str:
    look = LOOKS[node.role]
    fill, line = look.light
    text = quoted(short_name(node))[:-1] + "\\n" + quoted(role_word(node))[1:]
    width = 3 if node.focus else 1
    return (
        f'label={text}, tooltip={quoted(full_name(node))}, shape={look.dot_shape}, style="{look.dot_style}", '
        f'fillcolor="{fill}", color="{line}", fontcolor="#111111", penwidth={width}'
    )


def quoted(text: str) -> str:
    """Write a text as a DOT string that shows exactly this text: no escapes, no entities, no line breaks of its own."""
    plain = visible(text).replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{plain}"'
