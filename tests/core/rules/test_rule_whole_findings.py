"""What each rule says, word for word, about one table that has everything: how many, which first, what stands beside.

The properties hold counts, witnesses and weights to a model; this holds the sentences, their singulars and plurals,
and the order of findings of equal and of unequal weight.
"""

from __future__ import annotations

import re

import pytest
import rule_model
from merge_model import guid
from rule_model import DAY, Case

from mergeguard.core import rules
from mergeguard.core.facts import Declared, Facts
from mergeguard.core.findings import Finding
from mergeguard.core.guids import EMPTY
from mergeguard.core.table import MergeTable, Rejected, RejectedRow

NUMBERS = {str(guid(number)): str(number) for number in range(200)} | {str(EMPTY): "zero"}
CIRCLES = [(1, 2), (2, 1), (3, 1), (10, 11), (11, 12), (12, 10), (13, 10), (14, 13), (14, 12), (20, 21), (21, 20)]
KNOT = [(30, 31), (31, 30), (31, 32), (32, 30), (33, 32)]
ALONE = [(40, 40), (41, 41), (41, 41), (42, 41)]
SPLITS = [(50, 51), (50, 52), (53, 54), (53, 55), (53, 56), (57, 53), (58, 53)]
CHAINS = [(60, 61), (61, 62), (62, 63), (64, 62), (65, 66), (67, 66), (68, 69), (80, 81), (82, 83)]
COPIES = [(70, 71), (70, 71), (70, 71), (72, 73), (72, 74), (73, 75), (74, 75)]
ROWS = [*CIRCLES, *KNOT, *ALONE, *SPLITS, *CHAINS, *COPIES]
EVERYTHING = Case(
    (*((guid(old), guid(new)) for old, new in ROWS), (guid(90), EMPTY), (EMPTY, guid(91))),
    tuple(range(1, len(ROWS) + 3)),
    times=tuple(None if number % 5 == 4 else DAY.replace(hour=number % 24) for number in range(len(ROWS) + 2)),
    live=frozenset(guid(number) for number in (1, 11, 51, 52, 54, 55, 56, 61, 66, 71, 75)),
    types=tuple((guid(number), "AB"[number % 2]) for number in (1, 2, 50, 51, 60, 61, 62, 72, 74)),
    references={
        "Inv_A.Guid": {guid(number): number for number in (1, 2, 10, 33, 57, 60, 61, 64, 70, 75)},
        "Inv_B.Guid": {guid(3): 1, guid(51): 4},
        "Inv_C.Guid": {guid(65): 2, guid(67): 2, guid(68): 9},
        "Inv_D.Guid": {guid(66): 9},
    },
)
REJECTED = (
    RejectedRow(908, "old", "b"), RejectedRow(907, "old", "a"), RejectedRow(906, "new", "a"),
    RejectedRow(905, "new", "a"), RejectedRow(904, "old", None), RejectedRow(903, "new", " "),
    RejectedRow(902, "new", None),
)  # fmt: skip
WRONG = ((guid(60), guid(61), 7, "ok"), (guid(99), guid(61), 1, "ok"), (guid(68), guid(69), 1, "dangling"))


def facts() -> Facts:
    table, declared = EVERYTHING.table, EVERYTHING.facts().declared
    rejected = Rejected()
    for row in REJECTED:
        rejected.add(row)
    table = MergeTable(table.old, table.new, table.row_ids, table.times, rejected=rejected)
    stored = [*WRONG]
    seen = {guid(82), guid(65), *(old for old, *_ in WRONG)}
    stored += [row for row in rule_model.right_lookup(EVERYTHING) if row[0] not in seen]
    lookup = rule_model.stored_lookup(stored, skipped=1)
    return Facts(
        table,
        Declared(live=declared.live, types=declared.types, references=declared.references, stored=lookup),
    )


def numbered(text: str) -> str:
    return re.sub(r"[0-9a-f-]{36}", lambda found: NUMBERS[found[0]], text)


def told(finding: Finding) -> str:
    drawn = "" if finding.picture is None else f" drawn {len(finding.picture.nodes)}"
    return numbered(
        f"{finding.message} | {finding.subject}: {' '.join(map(str, finding.path))} | "
        f"rows {' '.join(str(row.row_id) for row in finding.rows)} | {finding.guids} guids, {finding.references} "
        f"references | {dict(finding.details)}{drawn}"
    )


SAID = {
    "cycle": (
        (
            "3 guids lead in a circle; 2 more lead into it | 10: 10 11 12 10 | rows 4 5 6 | 5 guids, 10 "
            "references | {'members': 3, 'simple': True, 'witness_length': 3, 'hanging': 2} drawn 5"
        ),
        (
            "3 guids lead in circles, with conflicts; 1 more leads into it | 30: 30 31 30 | rows 12 13 | 4 "
            "guids, 33 references | {'members': 3, 'simple': False, 'witness_length': 2, 'hanging': 1} drawn 4"
        ),
        (
            "2 guids lead in a circle; 1 more leads into it | 2: 2 1 2 | rows 2 1 | 3 guids, 4 references | "
            "{'members': 2, 'simple': True, 'witness_length': 2, 'hanging': 1} drawn 3"
        ),
        (
            "2 guids lead in a circle | 21: 21 20 21 | rows 11 10 | 2 guids, 0 references | {'members': 2, "
            "'simple': True, 'witness_length': 2, 'hanging': 0} drawn 2"
        ),
    ),
    "self-merge": (
        "the guid is merged into itself in 2 rows | 41: 41 41 | rows 18 19 | 1 guids, 0 references | {}",
        "the guid is merged into itself | 40: 40 40 | rows 17 | 1 guids, 0 references | {}",
    ),
    "split": (
        (
            "one old, 3 news, at least 3 different currents | 53: 53 56 | rows 25 24 23 | 3 guids, 57 references "
            "| {'currents': ['56', '55', '54'], 'news': 3} drawn 6"
        ),
        (
            "one old, 2 news, at least 2 different currents | 50: 50 51 | rows 21 22 | 1 guids, 0 references | "
            "{'currents': ['51', '52'], 'news': 2} drawn 3"
        ),
    ),
    "dangling": (
        "2 olds lead to a guid that is not live | 91: 90 zero 91 | rows 44 45 | 2 guids, 0 references | {}",
        "2 olds lead to a guid that is not live | 63: 64 62 63 | rows 31 30 | 2 guids, 64 references | {}",
        "1 old leads to a guid that is not live | 83: 82 83 | rows 36 | 1 guids, 0 references | {}",
        "1 old leads to a guid that is not live | 69: 68 69 | rows 34 | 1 guids, 9 references | {}",
        "1 old leads to a guid that is not live | 81: 80 81 | rows 35 | 1 guids, 0 references | {}",
    ),
    "shadowed-live": (
        "a live guid is merged away | 11: 11 12 | rows 5 | 5 guids, 10 references | {}",
        "a live guid is merged away | 1: 1 2 | rows 1 | 3 guids, 4 references | {}",
        "a live guid is merged away | 61: 61 62 | rows 29 | 2 guids, 121 references | {}",
    ),
    "type-mismatch": (
        "a B is merged into a A | 61: 61 62 | rows 29 | 1 guids, 61 references | {'old_type': 'B', 'new_type': 'A'}",
        "a A is merged into a B | 2: 2 1 | rows 2 | 1 guids, 2 references | {'old_type': 'A', 'new_type': 'B'}",
        "a A is merged into a B | 50: 50 51 | rows 21 | 1 guids, 0 references | {'old_type': 'A', 'new_type': 'B'}",
        "a A is merged into a B | 60: 60 61 | rows 28 | 1 guids, 60 references | {'old_type': 'A', 'new_type': 'B'}",
        "a B is merged into a A | 1: 1 2 | rows 1 | 1 guids, 1 references | {'old_type': 'B', 'new_type': 'A'}",
    ),
    "malformed-guid": (
        (
            "row 905: new holds 'a', which is no guid | None:  | rows  | 1 guids, None references | {'row_id': "
            "905, 'column': 'new', 'value': 'a'}"
        ),
        (
            "row 906: new holds 'a', which is no guid | None:  | rows  | 1 guids, None references | {'row_id': "
            "906, 'column': 'new', 'value': 'a'}"
        ),
        (
            "row 907: old holds 'a', which is no guid | None:  | rows  | 1 guids, None references | {'row_id': "
            "907, 'column': 'old', 'value': 'a'}"
        ),
        (
            "row 908: old holds 'b', which is no guid | None:  | rows  | 1 guids, None references | {'row_id': "
            "908, 'column': 'old', 'value': 'b'}"
        ),
    ),
    "empty-guid": (
        (
            "row 902: new is NULL | None:  | rows  | 1 guids, None references | {'row_id': 902, 'column': 'new', "
            "'value': None}"
        ),
        (
            "row 903: new is blank | None:  | rows  | 1 guids, None references | {'row_id': 903, 'column': "
            "'new', 'value': ' '}"
        ),
        (
            "row 904: old is NULL | None:  | rows  | 1 guids, None references | {'row_id': 904, 'column': 'old', "
            "'value': None}"
        ),
        "old is the all-zero guid | zero: zero 91 | rows 45 | 1 guids, 0 references | {'column': 'old'}",
        "new is the all-zero guid | 90: 90 zero | rows 44 | 1 guids, 0 references | {'column': 'new'}",
    ),
    "lookup-drift": (
        (
            "the lookup gives another answer than the rows | 60:  | rows 28 | 1 guids, 60 references | {'kind': "
            "'different', 'expected': {'current': '61', 'depth': 1, 'status': 'ok'}, "
            "'stored': {'current': '61', 'depth': 7, 'status': 'ok'}}"
        ),
        (
            "the lookup has no row for this old | 82:  | rows 36 | 1 guids, 0 references | {'kind': 'missing"
            "', 'expected': {'current': '83', 'depth': 1, 'status': 'dangling'}, 'stored': None}"
        ),
        (
            "the lookup has no row for this old | 65:  | rows 32 | 1 guids, 2 references | {'kind': 'missing"
            "', 'expected': {'current': '66', 'depth': 1, 'status': 'ok'}, 'stored': None}"
        ),
        (
            "the lookup holds a row for a guid that no row merges away | 99:  | rows  | 1 guids, None refere"
            "nces | {'kind': 'extra', 'stored': {'current': '61', 'depth': 1, 'status': 'ok'}}"
        ),
        (
            "1 row of the lookup has no guid as old | None:  | rows  | 0 guids, None references | {'kind': '"
            "malformed', 'rows': 1}"
        ),
    ),
    "stale-reference": (
        (
            "296 rows of Inv_A.Guid hold 7 merged-away guids | None:  | rows  | 7 guids, 296 references | "
            "{'column': 'Inv_A.Guid', 'rows': 296, 'guids': 7, 'samples': [{'guid': '70', 'current': '71', "
            "'status': 'ok', 'rows': 70}, {'guid': '64', 'current': '63', 'status': 'dangling', 'rows': 64}, "
            "{'guid': '60', 'current': '61', 'status': 'ok', 'rows': 60}, {'guid': '57', 'current': None, "
            "'status': 'split', 'rows': 57}, {'guid': '33', 'current': None, 'status': 'cycle', 'rows': 33}, "
            "{'guid': '10', 'current': '11', 'status': 'ok', 'rows': 10}, {'guid': '2', 'current': '1', "
            "'status': 'ok', 'rows': 2}]}"
        ),
        (
            "13 rows of Inv_C.Guid hold 3 merged-away guids | None:  | rows  | 3 guids, 13 references | "
            "{'column': 'Inv_C.Guid', 'rows': 13, 'guids': 3, 'samples': [{'guid': '68', 'current': '69', "
            "'status': 'dangling', 'rows': 9}, {'guid': '65', 'current': '66', 'status': 'ok', 'rows': 2}, "
            "{'guid': '67', 'current': '66', 'status': 'ok', 'rows': 2}]}"
        ),
        (
            "1 row of Inv_B.Guid holds 1 merged-away guid | None:  | rows  | 1 guids, 1 references | {'column': "
            "'Inv_B.Guid', 'rows': 1, 'guids': 1, 'samples': [{'guid': '3', 'current': '1', 'status': 'ok', "
            "'rows': 1}]}"
        ),
    ),
    "flip-flop": (
        (
            "merged in both directions, 2 rows; the last row is of 2024-05-06 10:08 | 21: 21 20 21 | rows 10 11 "
            "| 2 guids, 0 references | {'rows': 2, 'last_old': '21', 'last_new': '20'}"
        ),
        (
            "merged in both directions, 2 rows; the last row is of 2024-05-06 01:08 | 2: 2 1 2 | rows 1 2 | 2 "
            "guids, 3 references | {'rows': 2, 'last_old': '2', 'last_new': '1'}"
        ),
        (
            "merged in both directions, 2 rows; the last row is of 2024-05-06 12:08 | 30: 30 31 30 | rows 12 13 "
            "| 2 guids, 0 references | {'rows': 2, 'last_old': '31', 'last_new': '30'}"
        ),
    ),
    "cycle-tree": (
        "2 guids lead into a cycle of 3 | 10: 13 10 | rows  | 2 guids, 0 references | {'members': 3, 'hanging': 2}",
        "1 guid leads into a cycle of 3 | 30: 33 32 | rows  | 1 guids, 33 references | {'members': 3, 'hanging': 1}",
        "1 guid leads into a cycle of 2 | 2: 3 1 | rows  | 1 guids, 1 references | {'members': 2, 'hanging': 1}",
    ),
    "chain": (
        (
            "25 rows lead to a guid that was itself merged away; 6 olds lie two merges or more from the current "
            "guid | 14: 14 13 10 11 | rows 8 7 4 | 6 guids, 64 references | {'rows': 25, 'histogram': {'0': 3, "
            "'1': 14, '2': 5, '3': 1}, 'worst': [{'guid': '14', 'depth': 3}, {'guid': '90', 'depth': 2}, "
            "{'guid': '13', 'depth': 2}, {'guid': '72', 'depth': 2}, {'guid': '12', 'depth': 2}, {'guid': '64', "
            "'depth': 2}]}"
        ),
    ),
    "redundant": (
        (
            "3 exact copies and 1 old with several news and one current | 70: 70 71 | rows 37 38 39 | 3 guids, "
            "70 references | {'duplicate_rows': 3, 'agreeing_olds': 1, 'histogram': {'2': 2, '3': 1}, 'worst': "
            "[{'guid': '70', 'rows': 3}, {'guid': '41', 'rows': 2}, {'guid': '72', 'rows': 2}]}"
        ),
    ),
}


@pytest.mark.parametrize("name", [rule.name for rule in rules.RULES])
def test_a_rule_says_this_of_a_table_that_has_everything(name: str) -> None:
    outcome = rules.BY_NAME[name].run(facts(), 100)
    assert tuple(map(told, outcome.findings)) == SAID[name]
    assert outcome.count == len(outcome.findings)
    for finding in outcome.findings:
        assert (finding.rule, finding.severity) == (outcome.rule, outcome.severity)
        assert finding.fix == rules.BY_NAME[name].fix
