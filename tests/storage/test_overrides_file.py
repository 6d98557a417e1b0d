"""Overrides are read as they were meant, and each mistake in the file is told with its line."""

from __future__ import annotations

import csv
import io
import uuid
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mergeguard.core.repair.evidence import Override
from mergeguard.errors import ExitCode, UsageError
from mergeguard.storage.own_files import overrides
from mergeguard.storage.own_files.overrides import COLUMNS, HEADER, load_overrides, override_line

GUID = uuid.UUID(int=0xABC << 100)
TWICE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
# What a spreadsheet may hold: commas, quotes, line ends; but no blanks around it, which mean nothing.
WORDS = (
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1, max_size=12)
    .map(str.strip)
    .filter(lambda text: text not in {"", "?"})
)
OVERRIDES = st.builds(Override, WORDS, st.uuids(), WORDS, WORDS)


def refusal(path: Path, raw: bytes | str) -> UsageError:
    file = path / "decided.csv"
    file.write_bytes(raw if isinstance(raw, bytes) else raw.encode())
    with pytest.raises(UsageError) as caught:
        load_overrides(file)
    assert caught.value.exit_code is ExitCode.USAGE
    assert "decided.csv" in caught.value.message
    assert caught.value.hint
    return caught.value


@TWICE
@given(
    st.lists(OVERRIDES, unique_by=lambda one: one.component),
    st.permutations(COLUMNS),
    st.sampled_from(["utf-8", "utf-8-sig"]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([str, str.upper, "{{{}}}".format, lambda text: text.replace("-", "")]),
)
def test_what_people_decided_is_read(
    tmp_path: Path, decided: list[Override], columns: list[str], encoding: str, end: str, spell: object
) -> None:
    written = io.StringIO()
    writer = csv.writer(written, lineterminator=end)
    writer.writerow(columns)
    for one in decided:
        values = {"component": one.component, "survivor": spell(str(one.survivor)), "who": one.who, "why": one.why}  # type: ignore[operator]
        writer.writerow([values[name] for name in columns])
        writer.writerow([])
    file = tmp_path / "decided.csv"
    file.write_bytes(written.getvalue().encode(encoding))
    found = load_overrides(file)
    assert found == {one.component: one for one in decided}
    assert [*found] == [one.component for one in decided]


@TWICE
@given(st.binary(max_size=200) | st.text(',"?\n\r ; componentsurvivorwhowhy').map(str.encode))
def test_any_file_is_read_or_refused(tmp_path: Path, raw: bytes) -> None:
    file = tmp_path / "decided.csv"
    file.write_bytes(raw)
    try:
        assert all(name == one.component for name, one in load_overrides(file).items())
    except UsageError as error:
        assert "line " in error.message  # noqa: PT017 - any of two outcomes is right


@TWICE
@given(WORDS, st.uuids())
def test_the_proposed_line_asks_who_and_why(tmp_path: Path, component: str, survivor: uuid.UUID) -> None:
    line = override_line(component, survivor)
    assert "say who and why" in refusal(tmp_path, f"{HEADER}\n{line}\n").message
    file = tmp_path / "decided.csv"
    file.write_text(f"{HEADER}\n{line.removesuffix('?,?')}me,because\n", "utf-8", newline="")
    assert load_overrides(file) == {component: Override(component, survivor, "me", "because")}


GOOD = f"a1,{GUID},me,because"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", 1, "the columns are missing, not component, survivor, who, why"),
        ("component,survivor,who\n", 1, "the columns are component, survivor, who, not"),
        (f"{HEADER},extra\n", 1, "the columns are component, survivor, who, why, extra, not"),
        ("component,component,who,why\n", 1, "the columns are"),
        ("component;survivor;who;why\n", 1, "the columns are"),
        (f"{HEADER}\n{GOOD}\n\n{GOOD}\n", 4, "component a1 is decided a second time"),
        (f"{HEADER}\n{GOOD},more\n", 2, "it has 5 values, not 4"),
        (f"{HEADER}\na1,{GUID},me\n", 2, "it has 3 values, not 4"),
        (f"{HEADER}\na1,{GUID}, ,because\n", 2, "who is missing: say who and why"),
        (f"{HEADER}\na1,{GUID},me,?\n", 2, "why is missing: say who and why"),
        (f"{HEADER}\n,{GUID},me,because\n", 2, "component is empty"),
        (f"{HEADER}\na1,the first one,me,because\n", 2, "the survivor 'the first one' is no guid"),
        (f"{HEADER}\na1,,me,because\n", 2, "the survivor '' is no guid"),
        (f'{HEADER}\na1,{GUID},me,"two\nlines"\na2,x,me,y\n', 4, "the survivor 'x' is no guid"),
        (f'{HEADER}\n{GOOD}\na2,{GUID},me,"open\n', 3, "this is no CSV"),
    ],
)
def test_each_mistake_has_its_line(tmp_path: Path, text: str, line: int, said: str) -> None:
    message = refusal(tmp_path, text).message
    assert f"line {line}: " in message
    assert said in message


def test_the_header_may_be_spelt_in_any_case(tmp_path: Path) -> None:
    file = tmp_path / "decided.csv"
    file.write_text(f"Component, SURVIVOR ,Who,Why\n{GOOD}\n")
    assert load_overrides(file) == {"a1": Override("a1", GUID, "me", "because")}


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_another_encoding_is_named_with_its_line(tmp_path: Path, encoding: str) -> None:
    raw = f"{HEADER}\n{GOOD}ü".encode(encoding)
    message = refusal(tmp_path, raw).message
    assert f"line {1 if encoding == 'utf-16' else 2}: this is not UTF-8 text" in message


def test_a_file_that_cannot_be_read_is_a_usage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in (tmp_path / "none.csv", tmp_path, tmp_path / "a\0b"):
        with pytest.raises(UsageError):
            load_overrides(path)
    monkeypatch.setattr(overrides, "MAX_BYTES", 20)
    assert "larger than" in refusal(tmp_path, f"{HEADER}\n{GOOD}\n").message
