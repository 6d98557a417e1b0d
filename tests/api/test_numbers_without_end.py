"""TOML holds integers of any length; Python writes none of more than 4,300 digits, and makes no float of 400.

Whatever a file holds where something else should stand, it is refused in words or read; nothing else comes of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mergeguard.api.nse import make_event
from mergeguard.core.nse.description import EXAMPLE
from mergeguard.errors import MalformedEvent, UsageError
from mergeguard.processor.settings import ENTRIES
from mergeguard.processor.settings_entry import Entry
from mergeguard.processor.settings_values import parsed
from mergeguard.storage.importing.catalogue_file import parse_catalogue
from mergeguard.storage.own_files import baseline
from mergeguard.storage.profile_file import builtin_profile, dumps_profile, loads_profile
from mergeguard.storage.setting_values import Wrong, duration
from mergeguard.storage.settings import SETTINGS, Setting, resolve_settings

ODD = st.sampled_from(
    [
        "0x" + "f" * 5000, "[0x" + "f" * 5000 + "]", "9" * 5000, "1" + "0" * 400, "-1", "-1" + "0" * 400, "1e999",
        "nan", "true", "[1]", "[]", "{}", "{ a = 0xff }", '""', '"\\u0000"', '"' + "x" * 5000 + '"',
        "1979-05-27T07:32:00Z", "07:32:00", "[" * 100_000,
    ]
)  # fmt: skip


@dataclass(frozen=True)
class Reader:
    """What reads a kind of file, and a file of the kind."""

    read: Callable[[str], object]
    text: str

    @property
    def places(self) -> list[re.Match[str]]:
        return list(re.finditer(r"(?m)(?<=^)(\w+) = (.+)$", self.text))


CATALOGUE = """
[[resource_types]]
guid = "493435f7-3b17-4c4c-b07f-c23e7ab7781f"
name = "Computer"
bases = ["493435f7-3b17-4c4c-b07f-c23e7ab7781e"]
merge_keys = ["uniqueid"]
[[association_types]]
guid = "05de450f-39ea-4aae-8c5f-77817889c27c"
name = "Stands in"
minimum = 0
maximum = 1
[[data_classes]]
guid = "2b2a934a-b000-57f1-83f0-b840d59f1df2"
name = "Identification"
table = "Inv_Identification"
keep_days = 3
keep_rows = 9
event = true
"""
READERS = {
    "event": Reader(make_event, EXAMPLE),
    "profile": Reader(lambda text: loads_profile(text, "it"), dumps_profile(builtin_profile("reference"))),
    "catalogue": Reader(lambda text: parse_catalogue(text, "it"), CATALOGUE),
    "baseline": Reader(
        lambda text: baseline.loads(text, "it"),
        '[[accepted]]\nfingerprint = "62c4748ef81d25f6"\nrule = "MG001"\nreason = "known"\nuntil = 2027-01-01\n',
    ),
}


@pytest.mark.parametrize("kind", READERS)
@given(data=st.data())
def test_odd_values_in_a_file_are_refused_in_words_or_read(kind: str, data: st.DataObject) -> None:
    reader = READERS[kind]
    place = data.draw(st.sampled_from(reader.places))
    odd = data.draw(ODD)
    text = f"{reader.text[: place.start()]}{place[1]} = {odd}{reader.text[place.end() :]}"
    try:
        reader.read(text)
    except (UsageError, MalformedEvent) as refused:
        assert refused.message  # noqa: PT017 - it may as well be read


NO_VALUES = st.sampled_from([16**5000 - 1, 10**400, -(10**400), float("nan"), [16**5000], {}, None])


@settings(max_examples=100)
@given(st.sampled_from(ENTRIES), NO_VALUES)
def test_odd_values_of_a_setting_are_refused_by_the_name_of_the_setting(entry: Entry, value: object) -> None:
    with pytest.raises(UsageError, match=re.escape(f"here: {entry.names[1]} cannot be ")) as refused:
        parsed(entry, value, Path(), "here")
    assert len(refused.value.message) < 200


@settings(max_examples=60)
@given(st.sampled_from(SETTINGS), ODD)
def test_odd_values_in_the_file_of_settings_are_refused_in_words_or_read(
    tmp_path_factory: pytest.TempPathFactory, setting: Setting, odd: str
) -> None:
    file = tmp_path_factory.mktemp("settings") / "mergeguard.toml"
    file.write_text(f"{setting.name} = {odd}\n")
    try:
        resolve_settings({}, {}, file.parent, file)
    except UsageError as refused:
        assert len(refused.message) < 1000  # noqa: PT017 - it may as well be read


@given(st.integers(-(10**400), 10**400) | st.sampled_from([-(16**5000), 16**5000, -(10**400), 10**400]))
def test_a_duration_of_any_length_is_read_or_refused(number: int) -> None:
    if number <= 0:
        with pytest.raises(Wrong):
            duration(number, Path())
    else:
        assert duration(number, Path()) == float(min(number, 10**18))
