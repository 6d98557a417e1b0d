"""Every setting: its limits, its names, what fits into it and what is said of what does not."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core.events import INLINE_CHARACTERS, Queue
from mergeguard.core.order import Thresholds, queue_for
from mergeguard.errors import UsageError
from mergeguard.processor.settings import ENTRIES, QueueSettings, Settings
from mergeguard.processor.settings_entry import MOST, Entry
from mergeguard.processor.settings_values import parsed

SEED = {
    "EventRetryLimit": ("event_retry_limit", 3),
    "MaxFileQSize(KB)": ("max_file_queue_kb", 512_000),
    "EventFailureBackupFolder": ("event_failure_backup_folder", None),
    "EventCopyFolder": ("event_copy_folder", None),
    "FastQueueThreshold": ("fast_queue_threshold", 15_000),
    "SlowQueueThreshold": ("slow_queue_threshold", 1_048_576),
    "LargeQueueThreshold": ("large_queue_threshold", 20_971_520),
    "EventQueuePath": ("event_queue_path", "EventQueue"),
}
NUMBERS = [entry for entry in ENTRIES if entry.kind in {"whole number", "number"}]
TEXTS = [entry for entry in ENTRIES if entry.kind == "text"]
HERE = Path("/etc/mergeguard")


def by_name(name: str) -> Entry:
    return next(entry for entry in ENTRIES if entry.name == name)


@pytest.mark.parametrize("alias", SEED)
def test_the_names_and_defaults_that_administrators_know(alias: str) -> None:
    name, default = SEED[alias]
    entry = by_name(name)

    assert (entry.alias, entry.default) == (alias, default)
    assert entry.source in {"seed", "domain"}
    value = getattr(Settings(), name)
    assert (value.as_posix() if isinstance(value, Path) else value) == default


def test_the_defaults_are_those_of_the_order_and_of_the_events() -> None:
    settings, order = Settings(), Thresholds()

    assert settings.inline_characters == INLINE_CHARACTERS
    assert order == Thresholds(
        settings.fast_queue_threshold,
        settings.slow_queue_threshold,
        settings.large_queue_threshold,
        settings.priority_queue_threshold,
    )


@given(st.integers(0, 2**25), st.integers(0, 4095))
def test_events_go_to_the_queues_by_size_and_priority(size: int, priority: int) -> None:
    settings = Settings()
    found = queue_for(size, priority)

    steps = (settings.fast_queue_threshold, settings.slow_queue_threshold, settings.large_queue_threshold)
    by_size = 1 + sum(size >= step for step in steps)
    assert found == (0 if priority >= settings.priority_queue_threshold else by_size)
    assert [queue.name for queue in Queue] == ["PRIORITY", "FAST", "NORMAL", "SLOW", "LARGE"]


@pytest.mark.parametrize("size", [14_999, 15_000, 1_048_575, 1_048_576, 20_971_519, 20_971_520])
def test_a_threshold_belongs_to_what_is_above_it(size: int) -> None:
    expected = {14_999: 1, 15_000: 2, 1_048_575: 2, 1_048_576: 3, 20_971_519: 3, 20_971_520: 4}
    assert queue_for(size, 0) == expected[size]


def test_every_field_is_described_and_no_two_share_a_name() -> None:
    described = {entry.name for entry in ENTRIES}
    assert described == {field.name for field in dataclasses.fields(Settings)} - {"origins", "notes"}
    names = [name for entry in ENTRIES for name in {name.lower() for name in entry.names}]
    assert len(names) == len(set(names))
    for entry in ENTRIES:
        assert len(entry.doc.split()) > 3
        assert entry.doc.endswith(".")
        assert (entry.unit == "") == (entry.kind in {"path", "text"})
        assert re.fullmatch(r"MERGEGUARD_[A-Z_]+", entry.variable)


@pytest.mark.parametrize("entry", NUMBERS, ids=lambda entry: entry.name)
def test_a_number_at_its_limit_fits_and_one_beyond_does_not(entry: Entry) -> None:
    step: Any = 0.001 if entry.kind == "number" else 1
    for fits in (entry.at_least, entry.at_most):
        assert entry.outside(fits) is None
    for beyond in (entry.at_least - step, entry.at_most + step):
        assert (entry.outside(beyond) or "").startswith(f"a {entry.kind} of at least ")
        with pytest.raises(UsageError, match=re.escape(f"{entry.names[1]} cannot be ")) as refused:
            dataclasses.replace(Settings(), **{entry.name: beyond})
        assert f"{entry.at_least:.15g}" in str(refused.value.hint)


def test_not_a_number_is_beyond_every_limit() -> None:
    with pytest.raises(UsageError, match="LeaseSeconds cannot be nan"):
        Settings(lease_seconds=float("nan"))


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_thresholds_ascend_or_are_refused(fast: int, slow: int, large: int) -> None:
    given_ = {"fast_queue_threshold": fast, "slow_queue_threshold": slow, "large_queue_threshold": large}
    if fast <= slow <= large:
        assert Settings(**given_).large_queue_threshold == large
        return
    with pytest.raises(UsageError, match="do not ascend") as refused:
        Settings(**given_, origins={"fast_queue_threshold": "x.toml:7"})
    assert f"{fast} (fast_queue_threshold, x.toml:7)" in refused.value.message


@given(st.integers(0, MOST))
def test_a_whole_number_is_read_from_text_and_from_toml(number: int) -> None:
    entry = by_name("max_file_queue_kb")
    assert parsed(entry, f" {number} ", HERE, "x") == number == parsed(entry, number, HERE, "x")


@given(st.one_of(st.text(), st.booleans(), st.floats(), st.lists(st.integers(), max_size=2), st.none()))
def test_what_is_no_whole_number_is_refused_with_its_place(value: object) -> None:
    entry = by_name("event_retry_limit")
    if isinstance(value, str) and re.fullmatch(r"\s*\+?[0-9]{1,15}\s*", value):
        return
    with pytest.raises(UsageError, match=r"^file:3: EventRetryLimit cannot be ") as refused:
        parsed(entry, value, HERE, "file:3")
    assert len(refused.value.message) < 120
    assert (refused.value.hint or "").startswith("give a whole number")


@pytest.mark.parametrize("value", ["1e3", "١٢", "1_000", "0x10", "", "3.0"])
def test_spellings_that_python_would_take_are_no_numbers_here(value: str) -> None:
    with pytest.raises(UsageError):
        parsed(by_name("event_retry_limit"), value, HERE, "x")


@pytest.mark.parametrize(("value", "seconds"), [("1.5", 1.5), (2, 2.0), (0.25, 0.25), (" 7 ", 7.0)])
def test_a_number_may_have_a_fraction(value: object, seconds: float) -> None:
    found = parsed(by_name("lease_seconds"), value, HERE, "x")
    assert (found, type(found)) == (seconds, float)


@pytest.mark.parametrize("value", [float("inf"), float("nan"), "inf", "nan", True, "0", -1, 10**9])
def test_a_number_that_no_clock_can_use_is_refused(value: object) -> None:
    with pytest.raises(UsageError):
        parsed(by_name("lease_seconds"), value, HERE, "x")


def test_a_path_starts_from_its_file_and_a_folder_of_copies_from_the_queue() -> None:
    assert parsed(by_name("event_queue_path"), "q", HERE, "x") == HERE / "q"
    assert parsed(by_name("event_queue_path"), "/srv/q", HERE, "x") == Path("/srv/q")
    assert parsed(by_name("bad_nse_folders"), "BadNSEFolders.config", HERE, "x") == HERE / "BadNSEFolders.config"
    assert parsed(by_name("event_copy_folder"), "Copies", HERE, "x") == Path("Copies")


def test_an_empty_folder_is_off_and_the_queue_needs_one() -> None:
    assert parsed(by_name("event_failure_backup_folder"), "  ", HERE, "x") is None
    with pytest.raises(UsageError, match="EventQueuePath cannot be ''"):
        parsed(by_name("event_queue_path"), "", HERE, "x")


@pytest.mark.parametrize("value", ["D:\\Bad", "\\\\server\\share", "C:/x", 5, "a\0b"])
def test_a_path_of_another_system_is_refused_rather_than_made_as_a_name(value: object) -> None:
    with pytest.raises(UsageError, match="EventCopyFolder cannot be"):
        parsed(by_name("event_copy_folder"), value, HERE, "x")


def test_a_text_that_is_a_choice_is_one_of_them_in_any_case() -> None:
    entry = by_name("black_listed_agents")
    assert parsed(entry, " Refuse ", HERE, "x") == "refuse"
    for wrong in ("maybe", "", 1, ["map"]):
        with pytest.raises(UsageError, match=r"^file:3: BlackListedAgents cannot be ") as refused:
            parsed(entry, wrong, HERE, "file:3")
        assert refused.value.hint == "give map or refuse"
    with pytest.raises(UsageError, match="BlackListedAgents cannot be maybe"):
        Settings(black_listed_agents="maybe")


@pytest.mark.parametrize("entry", [entry for entry in TEXTS if not entry.choices], ids=lambda entry: entry.name)
def test_a_list_is_written_with_semicolons_or_as_a_list_of_toml(entry: Entry) -> None:
    assert parsed(entry, ["a", "b c"], HERE, "x") == "a; b c"
    assert parsed(entry, "a; b c", HERE, "x") == "a; b c"
    with pytest.raises(UsageError, match=f"{entry.names[1]} cannot be") as refused:
        parsed(entry, ["a", 1], HERE, "x")
    assert refused.value.hint == "give a text"


def test_folders_of_the_queue() -> None:
    settings = Settings(
        event_queue_path=Path("/q"), event_failure_backup_folder=Path("bad"), event_copy_folder=Path("/c")
    )

    assert (settings.queue_folder, settings.inbox_folder) == (Path("/q/EvtQueue"), Path("/q/EvtInbox"))
    assert [folder.name for folder in settings.legacy_folders] == ["EvtQFast", "EvtQLarge", "EvtQPriority", "EvtQSlow"]
    assert {folder.parent for folder in settings.legacy_folders} == {Path("/q")}
    assert (settings.backup_folder, settings.copy_folder) == (Path("/q/bad"), Path("/c"))
    assert (Settings().backup_folder, Settings().copy_folder) == (None, None)


def test_units_of_what_is_worked_out() -> None:
    settings = Settings(max_file_queue_kb=3, lease_seconds=1.5, fast_threads=7)

    assert settings.file_limit == 3072
    assert settings.lease.total_seconds() == 1.5
    assert settings.threads == {
        Queue.PRIORITY: 2, Queue.FAST: 7, Queue.NORMAL: 2, Queue.SLOW: 1, Queue.LARGE: 1,
    }  # fmt: skip
    assert QueueSettings is Settings
