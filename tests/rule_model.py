"""Whole cases for the rules, and what each rule has to say about them, by dictionaries and networkx.

A ``Case`` is a merge table with everything a profile may declare beside it. ``expected_*`` says what a rule finds,
``finds_*`` are the properties that the tests hold the rules to, and that planted faults have to break.
"""

from __future__ import annotations

import datetime as dt
import random
import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

import networkx as nx
import numpy as np
from hypothesis import strategies as st
from merge_model import NUMBERED, Answer, Pair, answers, guid, rings, shortest_ring

from mergeguard.core import guids, rules
from mergeguard.core.columns import ReferenceCounts, StoredLookup, TypeTable
from mergeguard.core.facts import Declared, Facts
from mergeguard.core.findings import MAX_FINDINGS, MAX_PICTURE, MAX_WITNESS, Finding, Outcome
from mergeguard.core.guids import EMPTY, TOMBSTONE
from mergeguard.core.table import MergeTable

Guid: TypeAlias = uuid.UUID
StoredRow: TypeAlias = tuple[Guid, Guid | None, int | None, str]
DAY = dt.datetime(2024, 5, 6, 7, 8, 9, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Case:
    """Rows with their ids and times, and what is declared; ``None`` where it is not."""

    pairs: tuple[Pair, ...]
    row_ids: tuple[int, ...]
    times: tuple[dt.datetime | None, ...] | None = None
    live: frozenset[Guid] | None = None
    types: tuple[tuple[Guid, str], ...] | None = None
    references: Mapping[str, Mapping[Guid, int]] | None = None
    stored: tuple[StoredRow, ...] | None = None

    @classmethod
    def of(cls, *numbers: tuple[int, int], **declared: Any) -> Case:
        """A case of small numbers, row ids from 1."""
        pairs = tuple((guid(old), guid(new)) for old, new in numbers)
        return cls(pairs, tuple(range(1, len(pairs) + 1)), **declared)

    @cached_property
    def graph(self) -> nx.DiGraph:
        return nx.DiGraph(list(self.pairs))

    @cached_property
    def olds(self) -> set[Guid]:
        return {old for old, _ in self.pairs}

    @cached_property
    def news(self) -> dict[Guid, set[Guid]]:
        found: dict[Guid, set[Guid]] = defaultdict(set)
        for old, new in self.pairs:
            found[old].add(new)
        return found

    @cached_property
    def answers(self) -> dict[Guid, Answer]:
        return answers(self.pairs, self.live)

    @cached_property
    def raw(self) -> dict[Guid, Answer]:
        return answers(self.pairs)

    def behind(self, some: Iterable[Guid]) -> set[Guid]:
        """The guids themselves and all that lead to them."""
        start = set(some)
        return start.union(*(nx.ancestors(self.graph, node) for node in start))

    def weight(self, some: Iterable[Guid]) -> int | None:
        """How many reference rows hold these guids."""
        if self.references is None:
            return None
        return sum(counts.get(guid, 0) for guid in set(some) for counts in self.references.values())

    def rows(self, *pairs: Pair) -> set[int]:
        """The ids of the rows that say one of these."""
        return {number for number, pair in zip(self.row_ids, self.pairs, strict=True) if pair in pairs}

    @property
    def table(self) -> MergeTable:
        return MergeTable.from_pairs(self.pairs, row_ids=self.row_ids, times=self.times)

    def facts(self) -> Facts:
        return Facts(
            self.table,
            Declared(
                live=None if self.live is None else guids.from_uuids(sorted(self.live)),
                types=None if self.types is None else type_table(self.types),
                references=None
                if self.references is None
                else [reference_counts(name, counts) for name, counts in self.references.items()],
                stored=None if self.stored is None else stored_lookup(self.stored),
            ),
        )

    def shuffled(self, chance: random.Random) -> Case:
        """The same case, everything in another order."""

        def mixed(rows: Collection[Any]) -> tuple[Any, ...]:
            return tuple(chance.sample(list(rows), len(rows)))

        order = mixed(range(len(self.pairs)))
        return replace(
            self,
            pairs=tuple(self.pairs[at] for at in order),
            row_ids=tuple(self.row_ids[at] for at in order),
            times=None if self.times is None else tuple(self.times[at] for at in order),
            types=None if self.types is None else mixed(self.types),
            references=None
            if self.references is None
            else {name: dict(mixed(counts.items())) for name, counts in self.references.items()},
            stored=None if self.stored is None else mixed(self.stored),
        )


def type_table(rows: Collection[tuple[Guid, str]]) -> TypeTable:
    names = sorted({name for _, name in rows})
    codes = np.array([names.index(name) for _, name in rows], np.int32)
    return TypeTable(guids.from_uuids([guid for guid, _ in rows]), codes, names)


def reference_counts(name: str, counts: Mapping[Guid, int]) -> ReferenceCounts:
    return ReferenceCounts(name, guids.from_uuids(list(counts)), np.array(list(counts.values()), np.int64))


def stored_lookup(rows: Collection[StoredRow], *, skipped: int = 0) -> StoredLookup:
    names = sorted({status for *_, status in rows})
    return StoredLookup(
        guids.from_uuids([old for old, *_ in rows]),
        guids.from_uuids([current or EMPTY for _, current, *_ in rows]),
        np.array([current is not None for _, current, *_ in rows], np.bool_),
        np.array([-1 if depth is None else depth for *_, depth, _ in rows], np.int64),
        np.array([names.index(status) for *_, status in rows], np.uint8),
        names,
        skipped,
    )


def right_lookup(case: Case) -> list[StoredRow]:
    """The lookup as it should be stored."""
    return [(old, current, depth, status) for old, (status, current, depth) in sorted(case.answers.items())]


# --- Drawing cases ---


@st.composite
def cases(draw: st.DrawFn, *needed: str) -> Case:
    """Draw a table with deleted values, all-zero guids and unordered row ids; and, or not, all that can be declared.

    What is ``needed`` is always declared.
    """
    numbers = draw(NUMBERED)
    pairs = [(guid(old), guid(new)) for old, new in numbers]
    if pairs and draw(st.booleans()):
        chosen = draw(st.sampled_from(sorted({node for pair in pairs for node in pair})))
        pairs = [(EMPTY if old == chosen else old, EMPTY if new == chosen else new) for old, new in pairs]
    gone = draw(st.sets(st.integers(0, 30), max_size=3))
    pairs = [(old, TOMBSTONE if row in gone else new) for row, (old, new) in enumerate(pairs)]
    chance = random.Random(draw(st.integers(0, 2**32)))
    known = [*sorted({node for pair in pairs for node in pair} - {TOMBSTONE}), guid(99)]

    def some(share: float) -> list[Guid]:
        return [node for node in known if chance.random() < share]

    case = Case(tuple(pairs), tuple(chance.sample(range(1, 3 * len(pairs) + 2), len(pairs))))
    if "times" in needed or draw(st.booleans()):
        hours = [chance.choice([None, 0, 1, 2, 3]) for _ in pairs]
        case = replace(case, times=tuple(hour if hour is None else DAY + dt.timedelta(hours=hour) for hour in hours))
    if "live" in needed or draw(st.booleans()):
        case = replace(case, live=frozenset(some(0.4)))
    if "types" in needed or draw(st.booleans()):
        case = replace(case, types=tuple((node, chance.choice("AB")) for node in [*some(0.8), *some(0.1)]))
    if "references" in needed or draw(st.booleans()):
        columns = {f"Inv_{at}.Guid": {node: chance.randint(1, 9) for node in some(0.5)} for at in range(3)}
        case = replace(case, references=columns)
    if "stored" in needed or draw(st.booleans()):
        case = replace(case, stored=tuple(_spoilt(case, chance)))
    return case


def _spoilt(case: Case, chance: random.Random) -> list[StoredRow]:
    """A lookup of which some rows are right, and others wrong in one place, missing, too many or there twice."""
    rows: list[StoredRow] = []
    for old, current, depth, status in right_lookup(case):
        fault = chance.choice(["", "", "current", "depth", "status", "missing", "twice"])
        if fault == "missing":
            continue
        right = (old, current, depth, status)
        wrong = {
            "current": (old, guid(77), depth, status),
            "depth": (old, current, (depth or 0) + 1, status),
            "status": (old, current, depth, chance.choice(["", "nonsense", "ok" if status != "ok" else "split"])),
        }
        rows.append(wrong.get(fault, right))
        if fault == "twice":
            rows.append(chance.choice([right, *wrong.values()]))
    rows += [(guid(1000 + at), guid(1), 1, "ok") for at in range(chance.choice([0, 0, 1, 2]))]
    chance.shuffle(rows)
    return rows


# --- Asking the rules ---


def run(case: Case, name: str, limit: int = MAX_FINDINGS) -> Outcome:
    """What one rule says."""
    return rules.BY_NAME[name].run(case.facts(), limit)


def exact(case: Case, name: str) -> tuple[Finding, ...]:
    """The findings of a rule, after making sure that it counted them right."""
    outcome = run(case, name)
    assert outcome.not_checked is None
    assert outcome.count == len(outcome.findings)
    return outcome.findings


def component(case: Case, node: Guid) -> frozenset[Guid]:
    return next(frozenset(part) for part in nx.strongly_connected_components(case.graph) if node in part)


# --- What each rule has to say ---


def finds_every_cycle(case: Case) -> None:
    found = {component(case, finding.subject): finding for finding in exact(case, "cycle")}
    assert {members: finding.guids for members, finding in found.items()} == rings(case.pairs)
    for members, finding in found.items():
        assert finding.subject == min(finding.path)
        assert finding.references == case.weight(case.behind(members))
        assert finding.details == {
            "members": len(members),
            "simple": all(len(case.news[old]) == 1 for old in members),
            "witness_length": shortest_ring(case.pairs, members),
            "hanging": finding.guids - len(members),
        }


def proves_cycles_by_a_shortest_walk_around(case: Case) -> None:
    for finding in exact(case, "cycle"):
        members = component(case, finding.subject)
        assert finding.path[0] == finding.path[-1]
        assert len(set(finding.path)) == len(finding.path) - 1 == shortest_ring(case.pairs, members)
        assert set(finding.path) <= members
        assert [(row.old, row.new) for row in finding.rows] == list(walk(finding))


def finds_what_hangs_on_cycles(case: Case) -> None:
    hanging = {members: case.behind(members) - members for members in rings(case.pairs)}
    wanted = {members: outside for members, outside in hanging.items() if outside}
    found = {component(case, finding.subject): finding for finding in exact(case, "cycle-tree")}
    assert found.keys() == wanted.keys()
    for members, finding in found.items():
        assert (finding.guids, finding.references) == (len(wanted[members]), case.weight(wanted[members]))
        assert finding.details == {"members": len(members), "hanging": len(wanted[members])}
        assert finding.path[0] not in members
        assert finding.path[1] in members


def finds_every_self_merge(case: Case) -> None:
    alone = {old for old, new in case.pairs if old == new}
    found = {finding.subject: finding for finding in exact(case, "self-merge")}
    assert found.keys() == alone
    for old, finding in found.items():
        assert {row.row_id for row in finding.rows} == case.rows((old, old))
        assert (finding.guids, finding.references) == (1, case.weight([old]))


def measures_chains(case: Case) -> None:
    rows = sum(new in case.olds and old != new for old, new in case.pairs)
    findings = exact(case, "chain")
    assert len(findings) == (rows > 0)
    if not rows:
        return
    finding = findings[0]
    depths = {old: depth for old, (_, _, depth) in case.answers.items() if depth is not None}
    deep = sorted((old for old, depth in depths.items() if depth > 1), key=lambda old: (-depths[old], old))
    histogram = Counter(depths.values())
    assert finding.details == {
        "rows": rows,
        "histogram": {str(depth): histogram[depth] for depth in sorted(histogram)},
        "worst": [{"guid": str(old), "depth": depths[old]} for old in deep[:10]],
    }
    assert (finding.guids, finding.references) == (len(deep), case.weight(deep))
    assert len(finding.path) == (depths[deep[0]] + 1 if deep else 0)
    assert not deep or finding.path[-1] == case.answers[deep[0]][1]


def counts_redundant_rows(case: Case) -> None:
    rows = Counter(old for old, _ in case.pairs)
    agreeing = {old for old, news in case.news.items() if len(news) > 1 and case.raw[old][0] in {"ok", "deleted"}}
    concerned = agreeing | {old for old in rows if rows[old] > len(case.news[old])}
    findings = exact(case, "redundant")
    assert len(findings) == bool(concerned)
    for finding in findings:
        worst = sorted(concerned, key=lambda old: (-rows[old], old))[:10]
        histogram = Counter(rows[old] for old in concerned)
        assert finding.details == {
            "duplicate_rows": len(case.pairs) - len(set(case.pairs)),
            "agreeing_olds": len(agreeing),
            "histogram": {str(count): histogram[count] for count in sorted(histogram)},
            "worst": [{"guid": str(old), "rows": rows[old]} for old in worst],
        }
        assert (finding.guids, finding.references) == (len(concerned), case.weight(concerned))
        assert finding.subject == worst[0]
        assert {row.row_id for row in finding.rows} == case.rows(*((worst[0], new) for new in case.news[worst[0]]))


def finds_every_split(case: Case) -> None:
    split = {old for old, news in case.news.items() if len(news) > 1 and case.raw[old][0] == "split"}
    found = {finding.subject: finding for finding in exact(case, "split")}
    assert found.keys() == split
    for old, finding in found.items():
        ends = sorted(node for node in nx.descendants(case.graph, old) if node not in case.olds)
        assert finding.details == {"currents": [str(end) for end in ends[:10]], "news": len(case.news[old])}
        behind = case.behind([old])
        assert (finding.guids, finding.references) == (len(behind), case.weight(behind))
        assert {row.new for row in finding.rows} == case.news[old]


def finds_what_leads_to_the_dead(case: Case) -> None:
    groups: dict[Guid, set[Guid]] = defaultdict(set)
    for old, (status, current, _) in case.answers.items():
        if status == "dangling":
            groups[current].add(old)
    found = {finding.subject: finding for finding in exact(case, "dangling")}
    assert found.keys() == groups.keys()
    for dead, finding in found.items():
        assert (finding.guids, finding.references) == (len(groups[dead]), case.weight(groups[dead]))
        assert finding.path[-1] == dead
        assert len(finding.path) == 1 + max(case.answers[old][2] or 0 for old in groups[dead])


def finds_every_shadowed_live_guid(case: Case) -> None:
    assert case.live is not None
    shadowed = {old for old in case.live & case.olds if case.news[old] - {old}}
    found = {finding.subject: finding for finding in exact(case, "shadowed-live")}
    assert found.keys() == shadowed
    for live, finding in found.items():
        stopped = [old for old, (_, current, _) in case.answers.items() if current == live]
        assert (finding.guids, finding.references) == (len(stopped), case.weight(stopped))
        assert {row.new for row in finding.rows} == case.news[live] - {live}


def finds_every_type_mismatch(case: Case) -> None:
    known: dict[Guid, set[str]] = defaultdict(set)
    for node, name in case.types or ():
        known[node].add(name)
    one = {node: min(names) for node, names in known.items() if len(names) == 1}
    wrong = {(old, new): (one[old], one[new]) for old, new in case.pairs if old in one and new in one}
    wrong = {pair: names for pair, names in wrong.items() if names[0] != names[1]}
    found = {finding.path: finding for finding in exact(case, "type-mismatch")}
    assert found.keys() == wrong.keys()
    for pair, finding in found.items():
        assert (finding.details["old_type"], finding.details["new_type"]) == wrong[pair]
        assert {row.row_id for row in finding.rows} == case.rows(pair)
        assert (finding.guids, finding.references) == (1, case.weight([pair[0]]))


def finds_every_empty_guid(case: Case) -> None:
    empty = {pair for pair in case.pairs if EMPTY in pair}
    found = {finding.path: finding for finding in exact(case, "empty-guid")}
    assert found.keys() == empty
    for pair, finding in found.items():
        assert finding.details == {"column": "old" if pair[0] == EMPTY else "new"}
        assert {row.row_id for row in finding.rows} == case.rows(pair)


def finds_every_drift(case: Case) -> None:
    right = {row[0]: row for row in right_lookup(case)}
    stored = Counter(case.stored)
    by_old: dict[Guid, list[StoredRow]] = defaultdict(list)
    for row in stored.elements():
        by_old[row[0]].append(row)
    wanted = Counter((old, "missing") for old in right.keys() - by_old.keys())
    for old, rows in by_old.items():
        kept = old in right
        wanted[old, "extra"] += len(rows) - kept
        wanted[old, "different"] += kept and right[old] not in rows
    findings = exact(case, "lookup-drift")
    assert Counter((finding.subject, finding.details["kind"]) for finding in findings) == +wanted
    for finding in findings:
        if finding.details["stored"] is not None:
            assert tuple(finding.details["stored"].values()) in {told(row) for row in by_old[finding.subject]}
        if finding.details["kind"] != "extra":
            assert tuple(finding.details["expected"].values()) == told(right[finding.subject])


def told(row: StoredRow) -> tuple[str | None, int | None, str]:
    """A lookup row as the details of a finding hold it."""
    _, current, depth, status = row
    return (None if current is None else str(current), depth, status)


def finds_every_stale_reference(case: Case) -> None:
    merged = {old for old in case.olds if case.news[old] - {old} and old not in (case.live or ())}
    assert case.references is not None
    wanted = {
        name: {node: rows for node, rows in counts.items() if node in merged}
        for name, counts in case.references.items()
    }
    wanted = {name: counts for name, counts in wanted.items() if counts}
    found = {finding.details["column"]: finding for finding in exact(case, "stale-reference")}
    assert found.keys() == wanted.keys()
    for name, finding in found.items():
        counts = wanted[name]
        assert (finding.guids, finding.references) == (len(counts), sum(counts.values()))
        assert (finding.details["guids"], finding.details["rows"]) == (finding.guids, finding.references)
        worst = sorted(counts, key=lambda node: (-counts[node], node))[:10]
        assert finding.details["samples"] == [
            {
                "guid": str(node),
                "current": None if case.answers[node][1] is None else str(case.answers[node][1]),
                "status": case.answers[node][0],
                "rows": counts[node],
            }
            for node in worst
        ]


def finds_every_flip_flop(case: Case) -> None:
    both = {(one, two) for one, two in case.pairs if one < two and (two, one) in case.pairs}
    found = {finding.path[:2]: finding for finding in exact(case, "flip-flop")}
    assert found.keys() == both
    for (one, two), finding in found.items():
        assert {row.row_id for row in finding.rows} == case.rows((one, two), (two, one))
        assert (finding.guids, finding.references) == (2, case.weight([one, two]))
        assert finding.details["rows"] == len(finding.rows)
        times = [row.time for row in finding.rows if row.time is not None]
        assert times == sorted(times)
        last = finding.rows[-1]
        assert not times or last.time == times[-1]
        assert (finding.details["last_old"], finding.details["last_new"]) == (str(last.old), str(last.new))


# --- What holds for every finding ---


def walk(finding: Finding) -> list[Pair]:
    return list(zip(finding.path, finding.path[1:], strict=False))


def proves_what_it_says(case: Case) -> None:
    """Walks are walks of the rows, rows are rows of the table, pictures are parts of the graph, names are unique."""
    edges = set(case.pairs)
    times = case.times or (None,) * len(case.pairs)
    rows = set(zip(case.row_ids, case.pairs, times, strict=True))
    for outcome in rules.run(case.facts()):
        assert len({finding.fingerprint for finding in outcome.findings}) == outcome.count
        for finding in outcome.findings:
            assert (finding.rule, finding.severity) == (outcome.rule, outcome.severity)
            assert finding.fix
            assert set(walk(finding)) <= edges
            assert {(row.row_id, (row.old, row.new), row.time) for row in finding.rows} <= rows
            assert len(finding.rows) == len({row.row_id for row in finding.rows}) <= MAX_WITNESS
            assert len(walk(finding)) <= MAX_WITNESS
            assert outcome.name == "lookup-drift" or finding.subject is None or finding.subject in case.graph
            assert (finding.references is None) == (case.references is None) or finding.details.get("kind") == "extra"
            draws_part_of_the_graph(case, finding)


def draws_part_of_the_graph(case: Case, finding: Finding) -> None:
    if finding.picture is None:
        assert finding.rule not in {"MG001", "MG003"}
        return
    drawn = [node.guid for node in finding.picture.nodes]
    assert finding.subject in drawn
    assert len(drawn) == len(set(drawn)) <= MAX_PICTURE
    assert set(finding.picture.edges) == {pair for pair in case.pairs if set(pair) <= set(drawn)}


def says_the_same_in_any_order(case: Case, chance: random.Random) -> None:
    """Only which of several rows with the same two guids is shown may depend on the order of the rows."""
    one, other = (rules.run(each.facts()) for each in (case, case.shuffled(chance)))
    assert [plain(outcome) for outcome in one] == [plain(outcome) for outcome in other]


def plain(outcome: Outcome) -> Outcome:
    findings = [
        replace(finding, rows=tuple(sorted({(row.old, row.new) for row in finding.rows})))
        for finding in outcome.findings
    ]
    return replace(outcome, findings=tuple(findings))


def keeps_exact_counts_when_cut(case: Case, limit: int) -> None:
    whole = rules.run(case.facts())
    for full, cut in zip(whole, rules.run(case.facts(), limit=limit), strict=True):
        assert cut == replace(full, findings=full.findings[:limit])
