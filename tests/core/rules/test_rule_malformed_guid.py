"""Rows with a value that is no guid are counted exactly and named in full up to a limit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from merge_model import guid

from mergeguard.core import rules
from mergeguard.core.facts import Facts
from mergeguard.core.findings import Outcome
from mergeguard.core.table import MAX_REJECTED, MergeTable, Rejected, RejectedRow

VALUES = st.none() | st.sampled_from(["", "  ", "not a guid", "{12}", "ß"])
ROWS = st.lists(
    st.builds(RejectedRow, st.integers(1, 40), st.sampled_from(["old", "new"]), VALUES),
    unique_by=lambda row: row.row_id,
    max_size=12,
)


def outcomes(rows: list[RejectedRow]) -> tuple[Outcome, Outcome]:
    rejected = Rejected()
    for row in rows:
        rejected.add(row)
    one = MergeTable.from_pairs([(guid(1), guid(2))])
    facts = Facts(MergeTable(one.old, one.new, rejected=rejected))
    return rules.BY_NAME["malformed-guid"].run(facts), rules.BY_NAME["empty-guid"].run(facts)


@given(ROWS)
def test_every_rejected_row_is_found_by_one_of_two_rules(rows: list[RejectedRow]) -> None:
    malformed, empty = outcomes(rows)
    for outcome, blank in ((malformed, False), (empty, True)):
        wanted = [row for row in rows if (row.value is None or not row.value.strip()) == blank]
        assert outcome.count == len(wanted)
        told = [tuple(finding.details.values()) for finding in outcome.findings]
        assert sorted(told, key=repr) == sorted(((row.row_id, row.column, row.value) for row in wanted), key=repr)
        assert all(finding.references is None and finding.guids == 1 for finding in outcome.findings)


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(rows: list[RejectedRow], chance: object) -> None:
    mixed = chance.sample(rows, len(rows))  # type: ignore[attr-defined]
    assert outcomes(rows) == outcomes(mixed)


def test_messages_name_row_column_and_value() -> None:
    malformed, empty = outcomes(
        [RejectedRow(7, "old", "abc"), RejectedRow(8, "new", None), RejectedRow("x", "old", " ")]
    )
    assert [finding.message for finding in malformed.findings] == ["row 7: old holds 'abc', which is no guid"]
    assert [finding.message for finding in empty.findings] == ["row 8: new is NULL", "row x: old is blank"]


def test_more_rows_than_are_kept_are_counted_all_the_same() -> None:
    many = MAX_REJECTED + 50
    malformed, empty = outcomes(
        [RejectedRow(at, "old", "x") for at in range(many)] + [RejectedRow(at, "new", None) for at in range(3)]
    )
    assert (malformed.count, len(malformed.findings)) == (many, MAX_REJECTED)
    assert (empty.count, len(empty.findings)) == (3, 3)
