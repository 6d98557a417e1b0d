"""How much an event may hold: the last that is still read, and the first that is not, with its line."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from nse_messages import EVENT

from mergeguard.core.nse import Limits, read
from mergeguard.errors import MalformedEvent


def refusal(body: str, limits: Limits | None = None) -> str:
    with pytest.raises(MalformedEvent) as refused:
        read(body.encode(), limits or Limits())
    return str(refused.value)


def times(text: str, start: str, number: int) -> str:
    """Return the event with a line of it ``number`` times."""
    [line] = [line for line in EVENT.splitlines() if line.startswith(start)]
    return text.replace(line + "\n", (line + "\n") * number)


@pytest.mark.parametrize(
    ("limits", "grown", "words"),
    [
        (Limits(size=len(EVENT)), lambda more: EVENT + " " * more, f"it has {len(EVENT) + 1:,} bytes; at most"),
        (
            Limits(rows=10),
            lambda more: times(EVENT, '<row c0="a"', 9 + more),
            "line 27, <row>: the message has more than 10",
        ),
        (Limits(parts=12), lambda more: times(EVENT, "<key", 9 + more), "<resource>: the message has more than 12"),
        (
            Limits(parts=12),
            lambda more: times(EVENT, "<resourceAssociation ", 9 + more),
            "<resource>: the message has more than 12",
        ),
        (
            Limits(gaps=6),
            lambda more: EVENT.replace("c1=", f"c{4 + more}="),
            "line 18, <row>: the rows so far leave out",
        ),
        (
            Limits(depth=20),
            lambda more: EVENT.replace("<body>", "<x>" * (19 + more) + "</x>" * (19 + more) + "<body>"),
            "line 4, <x>: elements stand in each other more than 20 deep",
        ),
        (
            Limits(attributes=9),
            lambda more: EVENT.replace("<message>", "<message" + "".join(f" a{at}=''" for at in range(9 + more)) + ">"),
            "line 2, <message>: it has more than 9 attributes",
        ),
        (
            Limits(attributes=9),
            lambda more: EVENT.replace(
                '<row c0="a"', "<row" + "".join(f" c{at}=''" for at in (0, *range(2, 9 + more)))
            ),
            "line 17, <row>: it has more than 9 attributes",
        ),
    ],
    ids=["size", "rows", "keys", "associations", "gaps", "depth", "attributes", "cells"],
)
def test_a_limit_is_what_is_still_read(limits: Limits, grown: Callable[[int], str], words: str) -> None:
    assert read(grown(0).encode(), limits)
    assert words in refusal(grown(1), limits)


def test_the_row_after_a_hundred_thousand_is_refused() -> None:
    body = EVENT.replace('<row c0="a" c1="b"/>\n', "<row/>\n" * 100_000)
    assert refusal(body).startswith("line 100017, <row>: the message has more than 100,000 rows")


def test_rows_that_are_short_to_send_and_long_to_keep_end_at_their_limit() -> None:
    body = EVENT.replace('<row c0="a" c1="b"/>', '<row c1023="x"/>' * 98)
    assert "leave out more than 100,000 cells" in refusal(body, Limits(gaps=100_000))
    assert Limits().gaps == 10_000_000


def test_only_cells_that_are_left_out_before_others_are_gaps() -> None:
    whole = times(EVENT, '<row c0="a"', 5)
    sent = [row for block in read(whole.encode()).data for row in block.rows]
    gaps = sum(cell is None for row in sent for cell in row.cells)
    assert read(whole.encode(), Limits(gaps=gaps)) == read(whole.encode())
    holed = whole.replace("c1=", "c2=")
    more = sum(cell is None for block in read(holed.encode()).data for row in block.rows for cell in row.cells)
    assert more > gaps
    assert read(holed.encode(), Limits(gaps=more)) == read(holed.encode())
    assert "leave out more than" in refusal(holed, Limits(gaps=more - 1))


def test_a_text_that_may_not_stand_there_is_told_by_its_first_eighty_characters() -> None:
    said = refusal(EVENT.replace("<body>", "<body>" + "x" * 81))
    assert f"the text {'x' * 80!r} may not stand in it" in said
