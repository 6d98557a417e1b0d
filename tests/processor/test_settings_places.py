"""Where a setting stands, told to the line; and how far a file of settings may go before it is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.errors import UsageError
from mergeguard.processor import settings_xml
from mergeguard.processor.settings import ENTRIES
from mergeguard.processor.settings_given import from_core_settings, from_environment, from_toml

NUMBERS = [entry for entry in ENTRIES if entry.kind == "whole number"]


@given(before=st.integers(0, 4), blank=st.integers(0, 3), entry=st.sampled_from(NUMBERS), data=st.data())
def test_the_line_of_a_setting_is_that_of_its_own_table_and_not_of_another_one(
    tmp_path_factory: pytest.TempPathFactory, before: int, blank: int, entry: object, data: st.DataObject
) -> None:
    names = data.draw(st.sampled_from(entry.names))  # type: ignore[attr-defined]
    name = f'"{names}"' if re.search(r"\W", names) else names
    lines = ["[another]", *(f"{name} = {at}" for at in range(1)), *["# line"] * before, "[event_queue]", *[""] * blank]
    file = tmp_path_factory.mktemp("places") / "mergeguard.toml"
    file.write_text("\n".join([*lines, f"{name} = 'many'", "[last]", f"{name} = 1"]))
    with pytest.raises(UsageError, match=re.escape(f"{file}:{len(lines) + 1}: {names} cannot be 'many'")):
        from_toml(file)


def test_a_setting_that_stands_twice_is_called_as_it_is_called_there(tmp_path: Path) -> None:
    toml, xml = tmp_path / "a.toml", tmp_path / "CoreSettings.config"
    toml.write_text("[event_queue]\nmax_file_queue_kb = 1\nMaxFileQSize = 2\n")
    with pytest.raises(UsageError, match=re.escape(f"{toml}:3: MaxFileQSize stands there for the second")) as twice:
        from_toml(toml)
    assert twice.value.hint == f"the first is {toml}:2; keep one"
    xml.write_text('<a>\n<s key="MaxFileQSize" value="1"/>\n<s key="max_file_queue_kb" value="1"/></a>')
    with pytest.raises(UsageError, match=re.escape(f"{xml}:3: MaxFileQSize(KB) stands there")):
        from_core_settings(xml)


@given(st.sampled_from(ENTRIES), st.sampled_from(["", "S", "_", "X"]), st.sampled_from(["MERGEGUARD_", "OTHER_", ""]))
def test_of_variables_only_ours_that_are_nearly_right_are_remarked_on(entry: object, more: str, prefix: str) -> None:
    name = prefix + entry.variable.removeprefix("MERGEGUARD_") + more  # type: ignore[attr-defined]
    known = {each.variable for each in ENTRIES}
    notes = from_environment({name: ""}, Path()).notes
    if prefix == "MERGEGUARD_" and name not in known:
        (note,) = notes
        assert note.startswith(f"the environment variable {name} is not known; did you mean MERGEGUARD_")
    else:
        assert notes == []


@pytest.mark.parametrize("over", [0, 1])
def test_a_file_may_be_as_deep_as_large_and_as_full_as_the_limits_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, over: int
) -> None:
    monkeypatch.setattr(settings_xml, "MOST_BYTES", 1000)
    monkeypatch.setattr(settings_xml, "MOST_ELEMENTS", 50)
    deep = settings_xml.MOST_DEPTH + over
    texts = {
        "deep": "<a>" * deep + "</a>" * deep,
        "full": "<a>" + "<b/>" * (49 + over) + "</a>",
        "large": "<a>" + " " * (993 + over) + "</a>",
    }
    said = {"deep": "more than 32 deep", "full": "more than 50 elements", "large": "is larger than 1,000 bytes"}
    for kind, text in texts.items():
        file = tmp_path / f"{kind}.config"
        file.write_text(text)
        if over:
            with pytest.raises(UsageError, match=said[kind]):
                settings_xml.read_elements(file)
        else:
            assert settings_xml.read_elements(file)[0].name == "a"


def test_elements_that_stand_beside_each_other_are_not_deep(tmp_path: Path) -> None:
    file = tmp_path / "flat.config"
    file.write_text("<a>" + "<b><c/></b>" * 100 + "</a>")
    assert len(settings_xml.read_elements(file)) == 201


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("max_file_queue_kb", "a whole number of at least 0 (KB of 1,024 bytes)"),
        ("body_seconds", "a number of at least 0.01 and at most 604800 (seconds)"),
        ("integrity_interval_seconds", "a number of at least 0 and at most 31622400 (seconds)"),
        ("claim_events", "a whole number of at least 1 and at most 100000 (events)"),
    ],
)
def test_a_number_beyond_its_limits_is_told_both_of_them_and_the_unit(name: str, words: str) -> None:
    (entry,) = (each for each in ENTRIES if each.name == name)
    assert entry.outside(-1) == words
    assert entry.outside(entry.at_least) is None
