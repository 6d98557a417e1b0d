"""DOT, read back by a small parser of the part of the language that we write."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core.findings import Explanation, Picture, ScanReport
from mergeguard.render import render_explanation, render_scan
from mergeguard.render.dot import quoted
from mergeguard.render.gallery import drawn
from mergeguard.render.roles import full_name
from mergeguard.render.text import visible

_TOKEN = re.compile(r'\s*(?:(?P<text>"(?:[^"\\\n]|\\.)*")|(?P<id>[A-Za-z0-9_.]+)|(?P<mark>->|[{}\[\]=,;]))')


def _tokens(text: str) -> Iterator[str]:
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        assert match is not None, text[at : at + 60]
        yield match[0].strip()
        at = match.end()


def _shown(token: str) -> str:
    """What Graphviz shows for a quoted string without line breaks of its own."""
    return re.sub(r"\\(.)", r"\1", token[1:-1]).replace("&amp;", "&")


def _read(text: str) -> tuple[dict[str, dict[str, str]], list[tuple[str, str]]]:
    """Return the nodes with their attributes, and the edges; blocks must balance and every statement end."""
    tokens = list(_tokens(text))
    assert tokens[:3] == ["digraph", "mergeguard", "{"]
    nodes: dict[str, dict[str, str]] = {}
    edges: list[tuple[str, str]] = []
    depth, at = 1, 3
    while at < len(tokens):
        if tokens[at] == "}":
            depth, at = depth - 1, at + 1
        elif tokens[at] == "subgraph":
            assert tokens[at + 2] == "{"
            depth, at = depth + 1, at + 3
        else:
            end = tokens.index(";", at)
            _statement(tokens[at:end], nodes, edges)
            at = end + 1
    assert depth == 0
    return nodes, edges


def _statement(tokens: list[str], nodes: dict[str, dict[str, str]], edges: list[tuple[str, str]]) -> None:
    head, *rest = tokens
    if rest[0] == "->":
        assert len(rest) == 2
        edges.append((head, rest[1]))
    elif rest[0] == "=":
        assert (head, len(rest)) == ("label", 2)
    else:
        assert (rest[0], rest[-1]) == ("[", "]")
        triples = " ".join(rest[1:-1]).count("=")
        attributes = {rest[i]: rest[i + 2] for i in range(1, len(rest) - 1, 4)}
        assert len(attributes) == triples or any("=" in value for value in attributes.values())
        nodes[head] = attributes


def _drawn_edges(picture: Picture) -> int:
    here = {node.guid for node in picture.nodes}
    return sum(old in here and new in here for old, new in picture.edges)


@given(st.data())
def test_any_report_is_read_back(hostile_reports: st.SearchStrategy[ScanReport], data: st.DataObject) -> None:
    report = data.draw(hostile_reports)
    nodes, edges = _read(render_scan(report, "dot"))
    frames, _ = drawn(report)
    assert len(edges) == sum(_drawn_edges(frame.picture) for frame in frames)
    for number, frame in enumerate(frames):
        for place, node in enumerate(frame.picture.nodes):
            assert _shown(nodes[f"p{number}n{place}"]["tooltip"]) == full_name(node)


@given(st.data())
def test_any_explanation_is_read_back(
    hostile_explanations: st.SearchStrategy[Explanation], data: st.DataObject
) -> None:
    explanation = data.draw(hostile_explanations)
    _, edges = _read(render_explanation(explanation, "dot"))
    assert len(edges) == _drawn_edges(explanation.picture)


@given(st.text(st.characters(codec=None)))
def test_a_quoted_text_shows_itself(text: str) -> None:
    (token,) = _tokens(quoted(text))
    shown = re.sub(r"\\(.)", r"\1", token[1:-1])
    assert shown.replace("&amp;", "&") == visible(text)
    assert "&" not in shown.replace("&amp;", "")
