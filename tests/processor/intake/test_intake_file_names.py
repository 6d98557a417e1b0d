from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.processor.intake.file_names import HIGHEST, EventFileName, parse, queued_name

WORDS = st.integers(0, 2**32 - 1)
PLACES = st.tuples(st.integers(0, HIGHEST), WORDS, WORDS)


@given(PLACES)
def test_what_is_written_is_read(place: tuple[int, int, int]) -> None:
    assert parse(queued_name(*place)) == EventFileName(*place)


@given(PLACES, st.sampled_from(["lower", "upper", "swapcase"]), st.sampled_from(["NSE", "PSE"]))
def test_letters_may_be_of_any_case_and_both_prefixes_are_known(
    place: tuple[int, int, int], case: str, prefix: str
) -> None:
    name = getattr(queued_name(*place).replace("NSE", prefix), case)()
    assert parse(name) == EventFileName(*place)


FEW = st.integers(0, 2)


@given(st.lists(st.tuples(FEW, FEW, FEW) | PLACES, unique=True, max_size=8))
def test_sorted_by_name_is_sorted_by_place(places: list[tuple[int, int, int]]) -> None:
    names = [queued_name(*place) for place in places]
    assert sorted(names) == sorted(names, key=lambda name: parse(name).place)  # type: ignore[union-attr]


@given(st.integers(0, HIGHEST), st.integers(1, 9), st.integers(1, 9))
def test_of_one_priority_what_was_sent_past_the_queue_goes_first(priority: int, queue: int, event: int) -> None:
    direct = parse(f"{priority:03d}NSE1.tmp")
    queued = [parse(queued_name(priority, *place)) for place in ((queue, event), (queue, event + 1), (queue + 1, 0))]
    assert direct is not None
    assert direct.place == (HIGHEST - priority, 0, 0)
    places = [direct.place, *(one.place for one in queued if one is not None)]
    assert places == sorted(set(places))
    assert len(places) == 4


@given(st.integers(0, HIGHEST), st.integers(0, 0xFFFF))
def test_the_digits_of_a_direct_post_are_its_priority(priority: int, number: int) -> None:
    assert parse(f"{priority:03d}NSE{number:04X}.tmp") == EventFileName(priority)


@given(st.text(max_size=40))
def test_any_other_name_says_nothing(name: str) -> None:
    said = parse(name)
    assert said is None or (0 <= said.priority <= HIGHEST and name.lower().endswith(".tmp"))


@pytest.mark.parametrize(
    "name",
    [
        "NSE-FFF-00000001-00000002.nse",
        "NSE-FFF-00000001-00000002.ok",
        "NSE-FFFF-00000001-00000002.tmp",
        "NSE-FFG-00000001-00000002.tmp",
        "NSE-FFF-0000001-00000002.tmp",
        "xNSE-FFF-00000001-00000002.tmp",
        "NSE1234.tmp",
        "4096NSE0001.tmp",
        "٣NSE0001.tmp",
        "1NSE.tmp",
        "",
    ],
)
def test_names_that_are_nearly_right_say_nothing(name: str) -> None:
    assert parse(name) is None


@pytest.mark.parametrize(
    ("name", "priority"), [("NSE-FFF-00000001-00000002.tmp", 0), ("NSE-000-0000000A-0000000F.tmp", 4095)]
)
def test_the_first_group_is_what_is_left_to_0xfff(name: str, priority: int) -> None:
    said = parse(name)
    assert said is not None
    assert said.priority == priority
