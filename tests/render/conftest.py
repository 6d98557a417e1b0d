"""One report that has everything in it, and a strategy for reports whose every text is hostile."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from hypothesis import strategies as st

from mergeguard.core.findings import (
    Explanation,
    Finding,
    Outcome,
    Picture,
    PictureNode,
    Role,
    RowRef,
    ScanReport,
    Severity,
)

_BAITS = (
    "</script><script>alert(1)</script>",
    "]]>",
    "<!-- --",
    "--> <b>",
    '"><img src=x onerror=alert(1)>',
    "a\x1b[31mred\x1b[0m\x07",
    "one\r\ntwo\nthree\ttab",
    "\u202eright to left\u202c\u2066",
    "\ud800 lone \udfff",
    "\ufffe\uffff\x00\x85\u2028",
    "`code` ``more`` | pipe | \\| [link](http://example.org) ![x](y) www.example.org",
    "# heading\n- item\n> quote\n~~~",
    '\\" \\n \\N \\G ]; } digraph {',
    "{0} [1](2) {{x}}",
    "'; DROP TABLE merge; --",
    "=cmd|' /C calc'!A1",
    "&amp;lt; &#x3c;",
    "漢字" * 30,
    "z" * 300,
)


def _guid(number: int) -> uuid.UUID:
    return uuid.UUID(int=0xA0000000_0000_4000_8000_000000000000 + number)


def _noon(second: int = 0) -> dt.datetime:
    return dt.datetime(2024, 5, 1, 12, 0, second, tzinfo=dt.UTC)


@pytest.fixture(scope="session")
def picture() -> Picture:
    """A ring of three with a tree of two on it."""
    labels = {1: "Asia/Kuching", 2: "Asia/Brunei", 3: "Asia/Makassar"}
    nodes = [PictureNode(_guid(n), label, Role.CYCLE, focus=n == 2) for n, label in labels.items()]
    nodes += [PictureNode(_guid(n), str(_guid(n)), Role.TREE) for n in (4, 5)]
    steps = ((1, 2), (2, 3), (3, 1), (4, 1), (5, 4))
    return Picture(tuple(nodes), tuple((_guid(old), _guid(new)) for old, new in steps), omitted=7)


def _cycle(picture: Picture) -> Finding:
    return Finding(
        rule="MG001",
        severity=Severity.ERROR,
        message="3 guids lead back to where they began",
        fingerprint="0123456789abcdef",
        subject=_guid(1),
        path=(_guid(1), _guid(2), _guid(3), _guid(1)),
        rows=(
            RowRef(7, _guid(1), _guid(2), _noon()),
            RowRef("row-8", _guid(2), _guid(3)),
            RowRef(9, _guid(3), _guid(1), _noon(30)),
        ),
        guids=5,
        references=20,
        fix="undo the merge of row 9, the newest",
        details={"baseline_state": "new", "entries": [{"guid": "a", "behind": 2}], "members": 3},
        picture=picture,
    )


def _outcomes(picture: Picture) -> tuple[Outcome, ...]:
    dangling = tuple(
        Finding("MG006", Severity.WARNING, f"leads to a guid that is not live ({n})", f"{n:016x}", _guid(100 + n))
        for n in range(12)
    )
    chain = Finding(
        "MG003",
        Severity.INFO,
        "310 chains",
        "c0ffee",
        details={"histogram": {"2": 300, "3": 10}, "deepest": ["x"] * 12},
    )
    return (
        Outcome("MG003", "chain", Severity.INFO, 1, (chain,)),
        Outcome("MG001", "cycle", Severity.ERROR, 1, (_cycle(picture),)),
        Outcome("MG002", "self-merge", Severity.ERROR, suppressed=2),
        Outcome("MG006", "dangling", Severity.WARNING, 1500, dangling),
        Outcome("MG008", "type-mismatch", Severity.WARNING, not_checked="the profile names no types"),
    )


@pytest.fixture(scope="session")
def report(picture: Picture) -> ScanReport:
    """A report in which every part is filled."""
    return ScanReport(
        run_id="run-1",
        tool_version="0.1.0",
        target="postgresql://dba:***@db.example/resources",
        profile="reference",
        started=_noon(),
        finished=_noon(2),
        rows=4451,
        guids=3150,
        isolation="snapshot (REPEATABLE READ, read only)",
        complete=True,
        outcomes=_outcomes(picture),
        statuses={"ok": 3140, "cycle": 5, "dangling": 5},
        depths=(0, 2800, 300, 35, 10),
        max_depth=4,
        notes=("3 rows were added while the scan ran",),
        labels={_guid(1): "Asia/Kuching", _guid(2): "Asia/Brunei", _guid(3): "Asia/Makassar"},
    )


@pytest.fixture(scope="session")
def explanation(picture: Picture) -> Explanation:
    """The story of a guid that stands in a cycle."""
    cycle = _cycle(picture)
    return Explanation(
        guid=_guid(2),
        label="Asia/Brunei",
        status="cycle",
        current=None,
        depth=None,
        story=("Asia/Brunei was merged into Asia/Makassar.", "The rows lead back to where they began."),
        path=cycle.path,
        rows=cycle.rows,
        picture=picture,
        labels={_guid(1): "Asia/Kuching", _guid(2): "Asia/Brunei", _guid(3): "Asia/Makassar"},
        target="merges.db",
    )


_guids = st.integers(0, 12).map(_guid)
_texts = st.one_of(st.sampled_from(_BAITS), st.text(st.characters(codec=None), max_size=20))
_times = st.none() | st.datetimes(timezones=st.just(dt.UTC))
_severities = st.sampled_from(Severity)
_counts = st.integers(0, 10**9)
_scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), _texts, _guids)
_details = st.dictionaries(
    _texts,
    st.one_of(_scalars, st.lists(_scalars, max_size=3), st.dictionaries(_texts, _scalars, max_size=2)),
    max_size=3,
)
_rows = st.builds(RowRef, st.one_of(st.integers(), _texts), _guids, _guids, _times)


@st.composite
def _pictures(draw: st.DrawFn) -> Picture:
    members = draw(st.lists(_guids, max_size=9, unique=True))
    nodes = tuple(PictureNode(g, draw(_texts), draw(st.sampled_from(Role)), draw(st.booleans())) for g in members)
    # Edges to guids that are not drawn are what an omitted node leaves behind.
    edges = draw(st.lists(st.tuples(_guids, _guids), max_size=12))
    if edges and draw(st.booleans()):
        edges.append(draw(st.sampled_from(edges)))  # two rows that say the same
    return Picture(nodes, tuple(edges), draw(st.integers(0, 5)))


@st.composite
def _findings(draw: st.DrawFn, rule: str, severity: Severity) -> Finding:
    return Finding(
        rule,
        severity,
        message=draw(_texts),
        fingerprint=draw(_texts),
        subject=draw(st.none() | _guids),
        path=tuple(draw(st.lists(_guids, max_size=4))),
        rows=tuple(draw(st.lists(_rows, max_size=3))),
        guids=draw(_counts),
        references=draw(st.none() | _counts),
        fix=draw(_texts),
        details=draw(_details),
        picture=draw(st.none() | _pictures()),
    )


@st.composite
def _hostile_outcomes(draw: st.DrawFn) -> Outcome:
    rule, severity = draw(_texts), draw(_severities)
    if draw(st.booleans()):
        return Outcome(rule, draw(_texts), severity, not_checked=draw(_texts))
    found = tuple(draw(st.lists(_findings(rule, severity), max_size=2)))
    more = draw(st.sampled_from([0, 0, 3000]))
    return Outcome(rule, draw(_texts), severity, len(found) + more, found, suppressed=draw(_counts))


@pytest.fixture(scope="session")
def hostile_reports() -> st.SearchStrategy[ScanReport]:
    """Reports in which every text may be anything at all."""
    return st.builds(
        ScanReport,
        run_id=_texts,
        tool_version=_texts,
        target=_texts,
        profile=_texts,
        started=st.just(_noon()),
        finished=st.sampled_from([_noon(2), _noon(), _noon(-0) - dt.timedelta(hours=1)]),
        rows=_counts,
        guids=_counts,
        isolation=_texts,
        complete=st.booleans(),
        outcomes=st.lists(_hostile_outcomes(), max_size=3, unique_by=lambda outcome: outcome.rule).map(tuple),
        statuses=st.dictionaries(_texts, _counts, max_size=3),
        depths=st.lists(_counts, max_size=40),
        max_depth=st.integers(0, 10**6),
        notes=st.lists(_texts, max_size=2).map(tuple),
        labels=st.dictionaries(_guids, _texts, max_size=6),
    )


@pytest.fixture(scope="session")
def hostile_explanations() -> st.SearchStrategy[Explanation]:
    """Explanations in which every text may be anything at all."""
    return st.builds(
        Explanation,
        guid=_guids,
        label=_texts,
        status=_texts,
        current=st.none() | _guids,
        depth=st.none() | _counts,
        story=st.lists(_texts, max_size=3).map(tuple),
        path=st.lists(_guids, max_size=4).map(tuple),
        rows=st.lists(_rows, max_size=3).map(tuple),
        picture=_pictures(),
        labels=st.dictionaries(_guids, _texts, max_size=6),
        target=_texts,
    )


@pytest.fixture(scope="session")
def hostile_texts() -> st.SearchStrategy[str]:
    """Any text at all, the classic baits often."""
    return _texts
