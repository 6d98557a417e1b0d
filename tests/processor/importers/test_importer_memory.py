"""Messages that came before are known by their bytes, whatever a plain envelope says, and are read again in need."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from importing_samples import CATALOGUE, IDENTIFICATION, INSTALLED, NOTES, RUN, World, computer, guid, message, rows

from mergeguard.core.importing.content import checked
from mergeguard.core.importing.keys import KeyRules
from mergeguard.core.importing.unchanged import claims_of
from mergeguard.core.nse import read, write
from mergeguard.core.nse.message import Message
from mergeguard.errors import MalformedEvent
from mergeguard.processor.importers.memory import LONGEST, Memory, Said, named, parts_of
from mergeguard.storage.importing.store import Expected

RULES = KeyRules()
PIECES = st.sampled_from(
    [
        *(
            '<?xml version="1.0"?>',
            '<?xml version="1.0" encoding="utf-8"?>',
            '<?xml version="1.0" encoding="latin-1"?>',
        ),
        *("<message>", "<Message>", "<message a='b'>", "<to>one</to>", "<to>other</to>", "<time>1 2</time>"),
        *(
            "<guid>{7}</guid>",
            "<a><b/></a>",
            "<a>x</b>",
            "<!-- <body> -->",
            "<body>",
            "<body/>",
            "<BODY></BODY>",
            "<a>&lt;</a>",
        ),
        *(" ", "\n", "\r\n", "\f", "\ufeff", "<xml>x</xml>", "<a>]]></a>", "<a>\n</a>", "text", "<a.b>c</a.b>", "\0"),
    ]
)
HEADS = st.lists(PIECES, max_size=5) | st.lists(PIECES, max_size=4).map(
    lambda inner: ['<?xml version="1.0"?>', "<message>", *inner]
)
TAIL = write(message(computer("pc", 1, "fqdn=a"), rows(NOTES, "pc", ("a\u00e4",)))).partition(b"<body>")[2]


def told(body: bytes) -> tuple[Message, list[int]] | None:
    """All that the reader gives, but for the recipient; ``None`` for what is malformed."""
    try:
        found = read(body)
    except MalformedEvent:
        return None
    lines = [each.line for each in (*found.resources, *found.data, *(row for data in found.data for row in data.rows))]
    return replace(found, recipient=""), lines


@given(HEADS, HEADS)
@example(
    ['<?xml version="1.0"?>', "<message>", "<to>one</to>"], ['<?xml version="1.0"?>', "<message>", "<time>1 2</time>"]
)
@example(["<message>"], ["<message>", "\n"])
@example(["<message>", " "], ["<message>", "\f"])
@example(["<message>", "<BODY>x</BODY>"], ["<message>", "<to>x</to>"])
def test_what_has_one_name_says_the_same(one: list[str], other: list[str]) -> None:
    first, second = (("".join(head) + "<body>").encode() + TAIL for head in (one, other))
    if named(first) == named(second):
        assert told(first) == told(second)


@pytest.mark.parametrize("place", ["<to>9</to>", "<guid>{F00D}</guid><time>2012-01-18 10:00</time>", ""])
def test_an_agents_envelope_does_not_make_a_message_another_one(place: str) -> None:
    plain, marked = (b"<message>%b<body>%b" % (head.encode(), TAIL) for head in ("<to>1</to>", place))
    assert named(plain) == named(marked)
    assert named(plain) != named(marked + b" ")


def said(number: int, keys: int = 1) -> tuple[bytes, Said]:
    """A message and what it says."""
    told = message(computer("pc", number, *(f"fqdn={each}" for each in range(keys))), rows(NOTES, "pc", ("a",)))
    content = checked(told, CATALOGUE, RULES)
    found = Said(content, content.guids, Expected(content.guids), claims_of(content, CATALOGUE))
    return write(told), found


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 6)), max_size=40), st.integers(20, 90))
def test_those_that_came_last_are_kept(steps: list[tuple[bool, int]], most: int) -> None:
    memory, model = Memory(most), dict[int, int]()
    for keeps, number in steps:
        body, what = said(number, number)
        known = memory.said(body, CATALOGUE, RULES)
        assert (known is not None) == (number in model)
        if number in model:
            model[number] = model.pop(number)
            assert known is not None
            assert (known.guids, known.claims, known.whole) == (what.guids, what.claims, False)
            assert not any(block.sent for block in known.content.blocks)
        elif keeps:
            memory.keep(body, CATALOGUE, RULES, what)
            model[number] = parts_of(what)
            while sum(model.values()) > most:
                del model[next(iter(model))]


def test_another_catalogue_or_other_rules_forget_all() -> None:
    body, what = said(1)
    for others in ((replace(CATALOGUE, merge_keys={}), RULES), (CATALOGUE, KeyRules(filtered=frozenset({"fqdn"})))):
        memory = Memory()
        memory.keep(body, CATALOGUE, RULES, what)
        assert memory.said(body, replace(CATALOGUE), replace(RULES)) is not None, "equal ones do not"
        assert memory.said(body, *others) is None
        assert memory.said(body, CATALOGUE, RULES) is None


def test_what_may_change_something_whenever_it_comes_is_not_kept() -> None:
    pc = computer("pc", 1, "fqdn=a")
    for part in (rows(RUN, "pc", ("a", None)), rows(INSTALLED, "pc", (guid(1), "1"), partial=True)):
        assert claims_of(checked(message(pc, part), CATALOGUE, RULES), CATALOGUE) is None
    nobody = message(computer("pc", None, "fqdn=a"))
    assert claims_of(checked(nobody, CATALOGUE, RULES), CATALOGUE) is None
    memory, (body, what) = Memory(), said(1)
    long = body + b" " * LONGEST
    memory.keep(long, CATALOGUE, RULES, what)
    memory.keep(body, CATALOGUE, RULES, replace(what, claims=None))
    assert memory.said(long, CATALOGUE, RULES) is None
    assert memory.said(body, CATALOGUE, RULES) is None


def test_what_was_changed_meanwhile_is_read_once_more() -> None:
    world = World()
    first, second = (
        write(message(computer("pc", 1, "fqdn=a"), rows(IDENTIFICATION, "pc", (name, 1)), rows(NOTES, "pc", ("n",))))
        for name in ("one", "two")
    )
    for body in (first, second, first):
        world.post(body)
    assert world.rows(IDENTIFICATION, 1) == [("one", 1, None)]
    assert world.tables.summaries[NOTES.guid, guid(1)][2] == 3
    broken = first.replace(b'c1="1"', b'c1="many"')
    for _ in range(2):
        with pytest.raises(MalformedEvent, match="takes a whole number"):
            world.post(broken, source=uuid.UUID(int=0))
