"""What a rebuild writes makes the stored lookup right, and is no more than that takes."""

from __future__ import annotations

import csv
import io
import json
import uuid

import numpy as np
import rule_model
from hypothesis import given
from merge_model import guid
from rule_model import Case, StoredRow

from mergeguard.core import guids
from mergeguard.core.lookup import lookup_of
from mergeguard.integrity.lookup import _change
from mergeguard.render.lookups import exported
from mergeguard.storage.source import LookupChange


def written(change: LookupChange) -> list[StoredRow]:
    """The rows of a change as tuples."""
    return [
        (old, current if has else None, depth if has else None, change.status_names[status])
        for old, current, has, depth, status in zip(
            guids.to_uuids(change.olds),
            guids.to_uuids(change.currents),
            change.has_current.tolist(),
            change.depths.tolist(),
            change.statuses.tolist(),
            strict=True,
        )
    ]


@given(rule_model.cases("stored"))
def test_a_change_makes_the_stored_lookup_right_and_writes_no_row_without_need(case: Case) -> None:
    facts = case.facts()
    change = _change(facts, facts.declared.stored)
    rows = written(change)
    gone = set(guids.to_uuids(change.deletes))
    stored = list(case.stored or ())
    replaced = {row[0] for row in rows} | gone
    left = [] if change.full else [row for row in stored if row[0] not in replaced]
    right = rule_model.right_lookup(case)
    assert sorted([*left, *rows], key=by_old) == right
    assert change.full == (not stored)
    if not change.full:
        olds = [row[0] for row in stored]
        needed = {row[0] for row in right if row not in stored or olds.count(row[0]) > 1}
        assert {row[0] for row in rows} == needed
        assert gone <= {old for old in olds if old not in case.olds or olds.count(old) > 1}


def by_old(row: StoredRow) -> uuid.UUID:
    return row[0]


@given(rule_model.cases())
def test_without_a_stored_lookup_every_old_is_written(case: Case) -> None:
    change = _change(case.facts(), None)
    assert change.full
    assert len(change.deletes) == 0
    assert sorted(written(change), key=by_old) == rule_model.right_lookup(case)


def test_a_lookup_with_rows_that_hold_no_guid_is_written_whole() -> None:
    case = Case.of((1, 2), (3, 2))
    change = _change(case.facts(), rule_model.stored_lookup(rule_model.right_lookup(case), skipped=1))
    assert change.full
    assert len(change.olds) == 2


@given(rule_model.cases())
def test_the_lookup_equals_the_closure_in_every_form(case: Case) -> None:
    found = lookup_of(case.facts())
    right = rule_model.right_lookup(case)
    assert sorted(found, key=by_old) == right
    assert [found.get(old) for old, *_ in right] == [tuple(answer) for _, *answer in right]
    assert found.get(guid(12345)) is None
    texts = [
        [str(old), str(now or ""), "" if depth is None else str(depth), status] for old, now, depth, status in right
    ]
    head = ["old", "current", "depth", "status"]
    for form, gap in (("csv", ","), ("tsv", "\t")):
        rows = list(csv.reader(io.StringIO(exported(found, form)), delimiter=gap))
        assert rows[0] == head
        assert sorted(rows[1:]) == sorted(texts)
    lines = [json.loads(line) for line in exported(found, "jsonl").splitlines()]
    told = [
        [line["old"], line["current"] or "", "" if line["depth"] is None else str(line["depth"]), line["status"]]
        for line in lines
    ]
    assert sorted(told) == sorted(texts)


def test_a_change_of_some_rows_has_the_columns_of_those_rows() -> None:
    case = Case.of((1, 2), (2, 3), (4, 5))
    stored = [row for row in rule_model.right_lookup(case) if row[0] != guid(2)]
    change = _change(case.facts(), rule_model.stored_lookup(stored))
    assert written(change) == [(guid(2), guid(3), 1, "ok")]
    assert np.array_equal(change.deletes, guids.empty())
