"""Which of several resources with one number are one, and why the others are left to a person."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from merge_model import guid

from mergeguard.resources import duplicates
from mergeguard.resources.duplicates import Duplicate, LeftAlone
from mergeguard.storage.database.key_groups import KeyGroup

MEMBERS = st.sets(st.integers(0, 5), min_size=2, max_size=4)


@given(
    st.lists(MEMBERS, max_size=5), st.sets(st.integers(0, 5)), st.dictionaries(st.integers(0, 5), st.sampled_from("AB"))
)
def test_one_managed_resource_of_one_type_takes_the_others_and_everything_else_is_left_with_its_reason(
    groups: Sequence[set[int]], managed: set[int], types: dict[int, str]
) -> None:
    found = [KeyGroup("serial", f"{at}", dict.fromkeys(map(guid, some))) for at, some in enumerate(groups)]
    pairs, left = duplicates._paired(found, set(map(guid, managed)), {guid(one): kind for one, kind in types.items()})
    wanted: list[Duplicate] = []
    reasons: list[LeftAlone] = []
    for at, some in enumerate(groups):
        everyone: tuple[uuid.UUID, ...] = tuple(sorted(map(guid, some), key=str))
        agents = [one for one in everyone if one in set(map(guid, managed))]
        if len({types.get(number) for number in some}) > 1:
            reasons.append(LeftAlone("serial", f"{at}", everyone, "they are of different types"))
        elif not agents:
            reasons.append(LeftAlone("serial", f"{at}", everyone, "none of them is managed"))
        elif len(agents) > 1:
            reasons.append(LeftAlone("serial", f"{at}", everyone, f"{len(agents)} of them are managed"))
        else:
            wanted += [Duplicate(one, agents[0], "serial", f"{at}") for one in everyone if one != agents[0]]
    assert (pairs, left) == (wanted, reasons)

    kept, torn = duplicates._unambiguous(pairs)
    news = {pair.old: {other.new for other in pairs if other.old == pair.old} for pair in pairs}
    assert [pair.old for pair in kept] == [old for old, several in news.items() if len(several) == 1]
    assert all(pair == next(other for other in pairs if other.old == pair.old) for pair in kept)
    assert {(one.guids[0], one.value) for one in torn} == {(p.old, p.value) for p in pairs if len(news[p.old]) > 1}


def test_a_long_key_is_cut_to_what_the_column_takes() -> None:
    assert Duplicate(guid(1), guid(2), "serial", "x" * 500).key == f"duplicates: serial={'x' * 181}"
    assert Duplicate(guid(1), guid(2), "serial", "7").key == "duplicates: serial=7"
