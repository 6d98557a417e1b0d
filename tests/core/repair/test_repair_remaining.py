"""What is left without some rows is the same, worked out from all rows or matched anew."""

from __future__ import annotations

import numpy as np
import rule_model
from hypothesis import given
from hypothesis import strategies as st
from rule_model import Case

from mergeguard.core import guids
from mergeguard.core.facts import Facts
from mergeguard.core.join import join
from mergeguard.core.repair.remaining import remaining


@given(case=rule_model.cases(), data=st.data())
def test_the_facts_of_the_rows_that_stay(case: Case, data: st.DataObject) -> None:
    facts = case.facts()
    rows = len(facts.table)
    gone = data.draw(st.sets(st.integers(0, rows - 1))) if rows else set()
    stay = np.array([row not in gone for row in range(rows)], np.bool_)
    left = remaining(facts, stay)
    kept = [row for row in range(rows) if row not in gone]
    assert [left.row(row) for row in range(len(kept))] == [facts.row(row) for row in kept]
    anew = Facts(left.table, facts.declared)
    again = join(left.table)
    assert np.array_equal(left.join.lead, again.lead)
    assert np.array_equal(left.join.succ, again.succ)
    assert np.array_equal(left.join.repeated, again.repeated)
    wanted = guids.from_uuids([*sorted({node for pair in case.pairs for node in pair}), rule_model.guid(999)])
    assert np.array_equal(left.join.olds.find(wanted), again.olds.find(wanted))
    assert np.array_equal(left.join.olds.lead, again.olds.lead)
    assert (left.liveness is None) == (anew.liveness is None)
    if left.liveness is not None and anew.liveness is not None:
        assert np.array_equal(left.liveness.old, anew.liveness.old)
        assert np.array_equal(left.liveness.new, anew.liveness.new)
    for one, other in ((left.raw, anew.raw), (left.closure, anew.closure)):
        assert np.array_equal(one.status, other.status)
        assert np.array_equal(one.end, other.end)
        assert np.array_equal(one.depth, other.depth)
