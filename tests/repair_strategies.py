"""Hypothesis strategies for whatever a plan or a journal may hold."""

from __future__ import annotations

import datetime as dt

from hypothesis import strategies as st

from mergeguard.core.repair.evidence import Confidence
from mergeguard.core.repair.journal import JournalStep
from mergeguard.core.repair.plan import (
    Action,
    Column,
    Plan,
    Refused,
    RowChange,
    Step,
    TableShape,
    TargetIdentity,
)

# Halves of a character too: a database may hold them. Never both beside each other, which is another character.
TEXTS = st.text(max_size=8) | st.sampled_from(
    ["\0", "\ud83d", "x\udc00", "\u2028", "\u202e", "\x7f", "ünï 漢", "😀", ""]
)
NAMES = st.text(min_size=1, max_size=8)
TIMES = st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30), timezones=st.just(dt.UTC))  # noqa: DTZ001 - bounds are naive
IMAGES = st.dictionaries(TEXTS, st.none() | TEXTS, max_size=4)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(TEXTS, JSON, max_size=3)
HEX = st.integers(0, 2**128 - 1).map("{:032x}".format)
FINGERPRINTS = st.lists(st.integers(0, 2**256 - 1).map("mark:{:064x}".format), min_size=1, max_size=2).map(" ".join)
CHANGES = st.builds(RowChange, st.sampled_from(Action), TEXTS, st.none() | IMAGES, st.none() | IMAGES)


def several(one: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(one, max_size=3).map(tuple)


SHAPES = st.builds(
    TableShape,
    TEXTS,
    several(st.builds(Column, TEXTS, TEXTS, st.booleans(), st.booleans())),
    several(TEXTS),
)
STEPS = st.builds(
    Step,
    TEXTS,
    several(TEXTS),
    several(st.uuids()),
    st.none() | st.uuids(),
    st.sampled_from(Confidence),
    TEXTS,
    several(CHANGES),
    several(IMAGES),
    OBJECTS,
    several(TEXTS),
)
REFUSED = st.builds(Refused, TEXTS, several(TEXTS), several(st.uuids()), TEXTS, TEXTS, OBJECTS)
TARGETS = st.builds(
    TargetIdentity, TEXTS, st.sampled_from(["sqlite", "postgresql", "mssql"]), TEXTS, TEXTS, FINGERPRINTS
)
LEFT_ALONE = st.fixed_dictionaries({"rule": TEXTS, "count": st.integers(0), "why": TEXTS})
PLANS = st.builds(
    Plan,
    HEX,
    TIMES,
    TIMES,
    TEXTS,
    TARGETS,
    OBJECTS,
    several(SHAPES),
    several(STEPS),
    several(REFUSED),
    several(LEFT_ALONE),
    several(TEXTS),
)


def journal_steps(run_id: str, number: int) -> st.SearchStrategy[JournalStep]:
    """Any step of a run; what is for people alone is text that any database can hold."""
    sayings = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
    return st.builds(
        JournalStep,
        st.just(run_id),
        st.just(number),
        sayings,
        several(TEXTS),
        several(st.uuids()),
        st.none() | st.uuids(),
        st.sampled_from([one.value for one in Confidence]),
        sayings,
        several(st.builds(RowChange, st.sampled_from(Action), sayings, st.none() | IMAGES, st.none() | IMAGES)),
        several(IMAGES),
        OBJECTS,
    )
