"""Pictures as SVG: drawn here, without Graphviz, with shapes and words beside the colours."""

from __future__ import annotations

from mergeguard.core.findings import Explanation, Picture, PictureNode, Role, ScanReport
from mergeguard.render import words
from mergeguard.render.edges import curve, head
from mergeguard.render.gallery import Frame, drawn, framed, summary
from mergeguard.render.layout import Layout, lay_out
from mergeguard.render.markup import DECLARATION, Markup, element, joined
from mergeguard.render.places import Place, Spacing
from mergeguard.render.roles import LOOKS, full_name, role_word, short_name

_ROOMY = Spacing(width=176, height=40, column_gap=54, row_gap=18, widest=1500)
_CROWDED = Spacing(width=132, height=32, column_gap=40, row_gap=8, widest=2400)
_MANY = 40
"""From this many nodes on they stand closer."""
_MARGIN = 16.0
_TITLE = 46.0
_LETTER, _PADDING = 7.25, 16.0
"""Width of a letter of a node's name, and what its border takes."""
_SMALLEST = 0.7


def _rules(dark: bool) -> str:
    ink, paper, soft, line = (
        ("#e8ecf1", "#14181d", "#a9b4c0", "#8f9baa") if dark else ("#15191e", "#ffffff", "#4c5661", "#5b6673")
    )
    parts = [
        f".mg-paper{{fill:{paper}}}",
        f".mg-name{{fill:{ink};font:600 12px ui-monospace,Consolas,Menlo,monospace}}",
        f".mg-role{{fill:{ink};font:10px system-ui,Segoe UI,sans-serif}}",
        f".mg-title{{fill:{ink};font:600 15px system-ui,Segoe UI,sans-serif}}",
        f".mg-caption{{fill:{soft};font:12px system-ui,Segoe UI,sans-serif}}",
        f".mg-edge{{fill:none;stroke:{line};stroke-width:1.5}}",
        f".mg-head{{fill:{line};stroke:none}}",
        f".mg-focus{{fill:none;stroke:{ink};stroke-width:2.5}}",
    ]
    for role, look in LOOKS.items():
        fill, edge = look.dark if dark else look.light
        parts.append(f".mg-{role.value}{{fill:{fill};stroke:{edge}}}")
        if role is Role.CYCLE:
            parts.append(f".mg-edge-cycle{{stroke:{edge};stroke-width:2.5}}.mg-head-cycle{{fill:{edge}}}")
    return "".join(parts)


_LINES = (
    ".mg-node{stroke-width:1.5}.mg-cycle,.mg-current,.mg-split{stroke-width:2.5}"
    ".mg-dead{stroke-dasharray:6 3}.mg-deleted{stroke-dasharray:2 3}"
)
STYLE = Markup(f"{_rules(dark=False)}{_LINES}@media (prefers-color-scheme:dark){{{_rules(dark=True)}}}")
"""The style sheet that the pictures need; a page that holds several gives it once."""


def render_scan(report: ScanReport) -> str:
    """Write the pictures of a report's findings one below the other."""
    frames, left_out = drawn(report)
    told = words.verdict(report).sentence
    note = f"{words.counted(left_out, 'more picture')} not drawn" if left_out else ""
    if not frames:
        note = "No finding has a picture."
    return _document("MergeGuard", told, [_block(frame) for frame in frames], note)


def render_explanation(explanation: Explanation) -> str:
    """Write the picture of one guid's component."""
    frame = framed(explanation)
    drawing, width, height = _drawing(frame.picture)
    return _document(frame.title, frame.caption, [(drawing, width, height)], "")


def inline(frame: Frame) -> Markup:
    """Draw one picture for a page that brings ``STYLE`` itself."""
    drawing, width, height = _drawing(frame.picture)
    # A little too wide: shrunk to fit. Much too wide: shrunk a little, and scrolled.
    style = f"max-width:100%;height:auto;min-width:{_number(width * _SMALLEST)}px"
    return _svg(f"{frame.title}: {frame.caption}", summary(frame.picture), drawing, width, height, style)


def _document(title: str, caption: str, blocks: list[tuple[Markup, float, float]], note: str) -> str:
    parts: list[Markup] = [_heading(title, caption, 0.0)]
    top, width = _TITLE + _MARGIN, 640.0
    for drawing, wide, high in blocks:
        parts.append(element("g", {"transform": f"translate(0 {_number(top)})"}, drawing))
        top, width = top + high + _MARGIN, max(width, wide)
    if note:
        parts.append(_text("mg-caption", _MARGIN, top + 12, note, anchor="start"))
        top += 2 * _MARGIN
    # A long line of text must not be cut by the drawing's edge.
    width = max(width, 2 * _MARGIN + 6.6 * max(len(caption), len(note)))
    paper = element("rect", {"class": "mg-paper", "width": "100%", "height": "100%"})
    body = joined(element("style", None, STYLE), paper, *parts, gap="\n")
    return f"{DECLARATION}{_svg(title, caption, body, width, top)}\n"


def _svg(title: str, description: str, body: Markup, width: float, height: float, style: str | None = None) -> Markup:
    attributes = {
        "xmlns": "http://www.w3.org/2000/svg",
        "role": "img",
        "aria-label": f"{title}. {description}",
        "width": _number(width),
        "height": _number(height),
        "viewBox": f"0 0 {_number(width)} {_number(height)}",
        "style": style,
    }
    return element("svg", attributes, element("title", None, title), element("desc", None, description), body)


def _heading(title: str, caption: str, top: float) -> Markup:
    return joined(
        _text("mg-title", _MARGIN, top + 24, title, anchor="start"),
        _text("mg-caption", _MARGIN, top + 42, caption, anchor="start"),
    )


def _block(frame: Frame) -> tuple[Markup, float, float]:
    drawing, width, height = _drawing(frame.picture)
    moved = element("g", {"transform": f"translate(0 {_number(_TITLE)})"}, drawing)
    wide = max(width, 2 * _MARGIN + 6.6 * len(frame.caption))
    return joined(_heading(frame.title, frame.caption, 0.0), moved), wide, height + _TITLE


def _drawing(picture: Picture) -> tuple[Markup, float, float]:
    """Draw a picture with a margin around it; also return its width and height."""
    spacing = _ROOMY if len(picture.nodes) < _MANY else _CROWDED
    layout = lay_out(picture, spacing)
    parts = [element("title", None, summary(picture)), *_edges(picture, layout, spacing)]
    parts += [_node(node, layout.places[node.guid], spacing) for node in picture.nodes]
    height = layout.height
    if picture.omitted:
        height += 24
        text = f"and {words.counted(picture.omitted, 'more guid')} not drawn"
        parts.append(_text("mg-caption", 0, height - 4, text, anchor="start"))
    # Ring edges and self-merges bulge beyond the nodes.
    shift = element(
        "g", {"transform": f"translate({_number(_MARGIN)} {_number(2 * _MARGIN)})"}, joined(*parts, gap="\n")
    )
    return shift, layout.width + 2 * _MARGIN, height + 3 * _MARGIN


def _edges(picture: Picture, layout: Layout, spacing: Spacing) -> list[Markup]:
    ring_of = {guid: number for number, ring in enumerate(layout.rings) for guid in ring}
    lines = []
    for source, target in picture.edges:
        if source not in layout.places or target not in layout.places:
            continue
        closed = source == target or (source in ring_of and ring_of[source] == ring_of.get(target))
        others = [place for guid, place in layout.places.items() if guid not in (source, target)]
        points = curve(layout.places[source], layout.places[target], spacing, closed=closed, others=others)
        kind = " mg-edge-cycle" if closed else ""
        lines.append(element("path", {"class": f"mg-edge{kind}", "d": _path(points)}))
        lines.append(element("path", {"class": f"mg-head{kind and ' mg-head-cycle'}", "d": _polygon(head(points))}))
    return lines


def _node(node: PictureNode, place: Place, spacing: Spacing) -> Markup:
    x, y = place
    shapes = [_shape(node.role, spacing, f"mg-node mg-{node.role.value}", 0.0)]
    if node.focus:
        shapes.insert(0, _shape(node.role, spacing, "mg-focus", 4.0))
    return element(
        "g",
        {"transform": f"translate({_number(x)} {_number(y)})"},
        element("title", None, f"{full_name(node)}: {role_word(node)}"),
        *shapes,
        _text("mg-name", 0, -3, short_name(node, int((spacing.width - _PADDING) / _LETTER))),
        _text("mg-role", 0, 11, role_word(node)),
    )


def _shape(role: Role, spacing: Spacing, kind: str, grow: float) -> Markup:
    right, bottom = spacing.width / 2 + grow, spacing.height / 2 + grow
    if role in (Role.CYCLE, Role.SPLIT):
        # An octagon for the cycle, as on a stop sign; a hexagon, pointed both ways, for the split.
        cut, side = (9.0, bottom - 9.0) if role is Role.CYCLE else (10.0, 0.0)
        corners = [(right, -side), (right - cut, -bottom), (cut - right, -bottom), (-right, -side)]
        corners += [(-right, side), (cut - right, bottom), (right - cut, bottom), (right, side)]
        return element("path", {"class": kind, "d": _polygon(corners)})
    radius = bottom if role is Role.CURRENT else 0 if role is Role.DELETED else 4
    box = {"x": -right, "y": -bottom, "width": 2 * right, "height": 2 * bottom, "rx": radius}
    return element("rect", {"class": kind, **{name: _number(value) for name, value in box.items()}})


def _text(kind: str, x: float, y: float, text: str, anchor: str = "middle") -> Markup:
    return element("text", {"class": kind, "x": _number(x), "y": _number(y), "text-anchor": anchor}, text)


def _path(points: list[Place]) -> str:
    start, *rest = (f"{_number(x)} {_number(y)}" for x, y in points)
    return f"M{start} C{', '.join(rest)}"


def _polygon(points: list[Place]) -> str:
    return "M" + " L".join(f"{_number(x)} {_number(y)}" for x, y in points) + " Z"


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
