"""Profiles survive writing and reading, and every mistake in a file is named where it stands."""

from __future__ import annotations

import dataclasses
import json
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mergeguard.errors import ExitCode, ProfileError
from mergeguard.storage.profile import (
    Association,
    AssociationTypes,
    Blacklist,
    Classes,
    Contact,
    Hashes,
    Journal,
    Keys,
    Live,
    Lookup,
    Managed,
    Merge,
    Merging,
    Names,
    Owner,
    Profile,
    Reference,
    Types,
)
from mergeguard.storage.profile_file import (
    builtin_names,
    builtin_profile,
    dumps_profile,
    load_profile,
    loads_profile,
    profile_document,
    profile_from_document,
)

NAMES = st.text(min_size=1, max_size=12).filter(lambda text: text.strip() != "")
LIVES = st.one_of(
    st.builds(
        Live, NAMES, NAMES, st.dictionaries(NAMES, st.text(max_size=8), max_size=3).map(lambda d: tuple(d.items()))
    ),
    st.builds(Live, query=NAMES),
)
REFERENCES = st.builds(
    lambda table, column, others, time, data_class, order: Reference(
        table, column, (column, *others) if others else (), time, data_class, order
    ),
    NAMES,
    NAMES,
    st.lists(NAMES, max_size=2),
    st.none() | NAMES,
    st.none() | NAMES,
    st.none() | NAMES,
)
PROFILES = st.builds(
    Profile,
    NAMES,
    st.builds(
        Merge,
        NAMES,
        NAMES,
        NAMES,
        st.none() | NAMES,
        st.none() | NAMES,
        st.none() | NAMES,
        st.lists(st.text(max_size=8), max_size=3).map(tuple),
        st.sampled_from(["guid", "text"]),
        st.sampled_from(["text", "sqlserver"]),
    ),
    st.builds(Lookup, NAMES, NAMES, NAMES, NAMES, NAMES),
    st.none() | LIVES,
    st.none() | st.builds(Types, NAMES, NAMES, NAMES),
    st.none() | st.builds(Keys, NAMES, NAMES, NAMES, NAMES),
    st.lists(REFERENCES, unique_by=str, max_size=4).map(tuple),
    st.builds(Journal, NAMES, NAMES, NAMES),
    st.none() | st.builds(Contact, NAMES, NAMES, NAMES),
    st.none() | st.builds(Owner, NAMES, NAMES, NAMES, st.none() | NAMES),
    st.none() | st.builds(Names, NAMES, NAMES, NAMES),
    st.none()
    | st.builds(
        Hashes,
        NAMES,
        NAMES,
        NAMES,
        NAMES,
        st.none() | st.builds(Classes, NAMES, NAMES, NAMES),
        st.none() | NAMES,
        st.none() | NAMES,
    ),
    st.lists(
        st.builds(Association, NAMES, NAMES, NAMES, st.none() | NAMES, st.none() | NAMES, st.none() | NAMES), max_size=2
    ).map(tuple),
    st.none() | st.builds(AssociationTypes, NAMES, NAMES, NAMES),
    st.builds(Merging, NAMES, NAMES, NAMES, NAMES),
    st.none() | st.builds(Managed, NAMES, NAMES, NAMES),
    st.none() | st.builds(Blacklist, NAMES, NAMES, st.none() | NAMES, st.none() | NAMES),
)

SECTIONS = {
    "merge": Merge,
    "lookup": Lookup,
    "journal": Journal,
    "merging": Merging,
    "live": Live,
    "types": Types,
    "keys": Keys,
    "contact": Contact,
    "owner": Owner,
    "names": Names,
    "hashes": Hashes,
    "association_types": AssociationTypes,
    "managed": Managed,
    "blacklist": Blacklist,
    "associations": Association,
    "references": Reference,
}
SPELLINGS = [(title, field.name) for title, kind in SECTIONS.items() for field in dataclasses.fields(kind)]
TOP_LEVEL = [("", field.name) for field in dataclasses.fields(Profile)]


def refusal(text: str) -> ProfileError:
    with pytest.raises(ProfileError) as caught:
        loads_profile(text, "site.toml")
    return caught.value


def attempt(text: str) -> Profile | ProfileError:
    try:
        return loads_profile(text, "site.toml")
    except ProfileError as error:
        return error


@given(PROFILES)
def test_what_is_written_reads_back_as_the_same_profile(profile: Profile) -> None:
    assert loads_profile(dumps_profile(profile), "any.toml") == profile


@given(PROFILES)
def test_a_profile_as_json_values_reads_back_as_the_same_profile(profile: Profile) -> None:
    document = json.loads(json.dumps(profile_document(profile)))
    assert profile_from_document(document, "plan.json") == profile


def test_a_profile_document_says_every_default() -> None:
    document = profile_document(Profile())
    assert document["merge"]["table"] == "ResourceMerge"
    assert document["journal"] == {"runs": "mergeguard_run", "steps": "mergeguard_step", "changes": "mergeguard_change"}
    assert "live" not in document


@given(st.text('a"\\\n', min_size=1).filter(str.strip))
def test_a_query_of_quotes_backslashes_and_lines_reads_back(query: str) -> None:
    profile = Profile(live=Live(query=query))
    assert loads_profile(dumps_profile(profile), "any.toml") == profile


@given(PROFILES)
def test_a_written_profile_is_stable(profile: Profile) -> None:
    text = dumps_profile(profile)
    assert dumps_profile(loads_profile(text, "any.toml")) == text


@given(st.text())
def test_any_text_is_a_profile_or_a_refusal(text: str) -> None:
    outcome = attempt(text)
    if isinstance(outcome, ProfileError):
        assert "site.toml" in outcome.message
        assert outcome.exit_code is ExitCode.USAGE
    else:
        assert isinstance(outcome, Profile)


VALUES: st.SearchStrategy[Any] = st.one_of(
    st.text(string.ascii_letters, max_size=3).map(lambda text: f'"{text}"'),
    st.sampled_from(["1", "true", "1.5", "1979-05-27", "[]", "[1]", '["a"]', "{}", '{a = "b"}', "{a = 1.5}"]),
)


@given(st.lists(st.tuples(st.sampled_from(SPELLINGS + TOP_LEVEL), VALUES), max_size=6))
def test_any_value_for_any_key_is_read_or_refused(entries: list[tuple[tuple[str, str], str]]) -> None:
    text = "\n".join(f"{f'{title}.' if title else ''}{key} = {value}" for (title, key), value in entries)
    outcome = attempt(text)
    if isinstance(outcome, ProfileError):
        assert "site.toml" in outcome.message
    else:
        assert attempt(dumps_profile(outcome)) == outcome


@st.composite
def misspellings(draw: st.DrawFn) -> tuple[str, str, str]:
    """A table, one of its keys, and that key with one letter dropped, doubled or swapped, or in capitals."""
    title, key = draw(st.sampled_from(SPELLINGS + TOP_LEVEL))
    at = draw(st.integers(0, len(key) - 2))
    wrong = draw(
        st.sampled_from(
            [
                key[:at] + key[at + 1 :],
                key[: at + 1] + key[at:],
                key[:at] + key[at + 1] + key[at] + key[at + 2 :],
                key.upper(),
            ]
        )
    )
    siblings = [other for section, other in SPELLINGS + TOP_LEVEL if section == title]
    assume(wrong not in siblings)
    return title, key, wrong


@given(misspellings())
def test_a_misspelt_key_is_named_with_its_table_and_the_nearest_right_one(case: tuple[str, str, str]) -> None:
    title, key, wrong = case
    lists = {title: f"[[{title}]]\n" for title in ("associations", "references")}
    header = {"": "", **lists}.get(title, f"[{title}]\n")
    error = refusal(f'{header}{wrong} = "x"')
    assert f"unknown key '{wrong}'" in error.message
    assert (f"[{title}]" if title else "the top level") in error.message
    assert error.hint is not None
    assert f"did you mean '{key}'?" in error.hint


@pytest.mark.parametrize(
    ("text", "said", "hinted"),
    [
        ("[merge]\ntable = 5", "[merge] table must be text, not a number", "quotes"),
        ("[merge]\nold = true", "[merge] old must be text, not true or false", "quotes"),
        ('[merge]\nold = " "', "[merge] old is empty", "leave the line out"),
        ("name = 2020-01-01", "name must be text, not a date or time", "quotes"),
        ('merge = "ResourceMerge"', "[merge] must be a table of keys, not text", "[merge]"),
        ('[merge]\ndeleted_values = "gone"', "[merge] deleted_values must be a list of texts", "NULL"),
        ("[merge]\ndeleted_values = [1]", "[merge] deleted_values must be a list of texts", "NULL"),
        ('[merge]\nids = "uuid"', "[merge] ids is 'uuid'", "guid, text"),
        ("[merge]\nids = 7", "[merge] ids is a number", "guid, text"),
        ('[merge]\nbyte_order = "little"', "[merge] byte_order is 'little'", "text, sqlserver"),
        ('[types]\ntable = "Item"\nguid = "Guid"', "[types] lacks 'type'", "table, guid, type"),
        ('[keys]\ntable = "ResourceKey"', "[keys] lacks 'guid'", "table, guid, name, value"),
        ('[references]\ntable = "A"', "references must be a list of tables", "[[references]]"),
        ('[[references]]\ntable = "A"', "[[references]] number 1 lacks 'column'", "table, column"),
        ('references = ["A.b"]', "[[references]] number 1 must be a table", "of its own"),
        ('[associations]\ntable = "A"', "associations must be a list of tables", "[[associations]]"),
        (
            '[[references]]\ntable="A"\ncolumn="b"\nunique=["c"]',
            "[[references]] number 1 unique does not name 'b'",
            "the reference among them",
        ),
        (
            '[[references]]\ntable="A"\ncolumn="b"\n[[references]]\ntable="A"\ncolumn="b"\ntime="t"',
            "names A.b more than once",
            "counted twice",
        ),
        ('[hashes]\nclasses = "DataClass"', "[hashes] lacks 'table'", "data_class, hash, classes"),
        (
            '[hashes]\ntable="A"\nguid="g"\ndata_class="c"\nhash="h"\nclasses = {table = "DataClass"}',
            "[hashes] classes lacks 'guid'",
            "table, guid, name",
        ),
        (
            '[hashes]\ntable="A"\nguid="g"\ndata_class="c"\nhash="h"\nclasses = "DataClass"',
            "[hashes] classes must name a table and two columns, not text",
            "TableName",
        ),
        (
            '[[references]]\ntable="A"\ncolumn="b"\n[[references]]\ntable="A"\ncolumn="b"',
            "names A.b more than once",
            "counted twice",
        ),
        ('[live]\ntable = "A"\nguid = "g"\nquery = "SELECT 1"', "both a query and a table", "query alone"),
        ('[live]\nquery = "SELECT 1"\nwhere = {a = "b"}', "both a query and a table", "query alone"),
        ('[live]\ntable = "A"', "[live] needs table and guid, or query", "leave [live] out"),
        ("[live]", "[live] needs table and guid, or query", "leave [live] out"),
        ('[live]\ntable = "A"\nguid = "g"\nwhere = "a = 1"', "[live] where must name columns", "where ="),
        ('[live]\ntable = "A"\nguid = "g"\nwhere = {a = true}', "where 'a' must be text or a whole number", "prints"),
        ("[merge]\nold = x\n", "Invalid value (at line 2, column 7)", "quotes"),
        ("[merge]\n[merge]", "line 2", "quotes"),
        (f"a = {'1' * 5000}", "not valid TOML", "quotes"),
        (f"[live]\ntable='a'\nguid='g'\nwhere = {{a = 0x{'f' * 5000}}}", "text or a whole number", "quotes"),
    ],
)
def test_a_mistake_is_named_where_it_stands(text: str, said: str, hinted: str) -> None:
    error = refusal(text)
    assert said in error.message
    assert error.message.startswith("site.toml")
    assert error.hint is not None
    assert hinted in error.hint


def test_deep_nesting_is_refused_without_a_traceback() -> None:
    assert "nested too deeply" in refusal("a = " + "[" * 100_000).message


def test_whole_numbers_in_a_filter_are_compared_as_text() -> None:
    profile = loads_profile('[live]\ntable = "A"\nguid = "g"\nwhere = {Deleted = 0, Status = "Active"}', "x.toml")
    assert profile.live == Live("A", "g", (("Deleted", "0"), ("Status", "Active")))


def test_a_profile_without_a_name_is_called_by_its_file(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text('[merge]\ntable = "Aliases"\n')
    assert load_profile(file) == Profile("site", Merge("Aliases"))


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
def test_a_file_may_hold_a_mark_and_any_line_ends(tmp_path: Path, start: bytes) -> None:
    file = tmp_path / "site.toml"
    file.write_bytes(start + b'name = "site"\r\n[merge]\r\nold = "a\xc3\xa9"\r\n')
    assert load_profile(str(file)).merge.old == "aé"


def test_a_missing_file_names_the_built_in_profiles(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="does not exist") as caught:
        load_profile(tmp_path / "none.toml")
    assert caught.value.hint is not None
    assert "reference" in caught.value.hint


def test_a_folder_and_an_impossible_path_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, Path("a\0b")):
        with pytest.raises(ProfileError, match="cannot be read"):
            load_profile(path)


def test_a_file_that_is_not_utf8_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_bytes(b'name = "x"\n# caf\xe9\n')
    with pytest.raises(ProfileError, match=r"not UTF-8 text \(line 2\)"):
        load_profile(file)


def test_a_lone_surrogate_cannot_be_written() -> None:
    with pytest.raises(ProfileError, match="surrogate"):
        dumps_profile(Profile("\ud800"))


def test_every_built_in_profile_loads_and_says_its_own_name() -> None:
    assert "reference" in builtin_names()
    for name in builtin_names():
        assert builtin_profile(name).name == name


@pytest.mark.parametrize("name", ["refrence", "../profiles/reference", ""])
def test_an_unknown_built_in_profile_is_refused(name: str) -> None:
    with pytest.raises(ProfileError, match="no built-in profile") as caught:
        builtin_profile(name)
    assert caught.value.hint is not None
    assert "reference" in caught.value.hint


def test_the_ends_of_associations_are_references_each_once() -> None:
    declared = Reference("Link", "child", data_class="x")
    link = Association("Link", "parent", "child")
    profile = Profile(references=(declared, Reference("Inv", "guid")), associations=(link, link))
    assert profile.references == (declared, Reference("Inv", "guid"), Reference("Link", "parent"))
    assert dataclasses.replace(profile) == profile


def test_a_written_profile_reads_well() -> None:
    profile = Profile(
        "site",
        Merge("Aliases", "a", "b", deleted_values=("gone", "")),
        live=Live(query='SELECT "Guid"\nFROM "Item"'),
        references=(Reference("Inv_X", "_ResourceGuid"),),
    )
    assert dumps_profile(profile) == (
        'name = "site"\n\n[merge]\ntable = "Aliases"\nold = "a"\nnew = "b"\ndeleted_values = ["gone", ""]\n\n'
        '[live]\nquery = """\nSELECT "Guid"\nFROM "Item\\""""\n\n'
        '[[references]]\ntable = "Inv_X"\ncolumn = "_ResourceGuid"\n'
    )


SETS = '[[references]]\ntable = "Many"\ncolumn = "Guid"\nsets = "{}"\n'
HASHES = '[hashes]\ntable = "Sums"\nguid = "Guid"\ndata_class = "Class"\nhash = "Hash"\n'


def test_data_loaded_as_a_whole_need_to_know_what_was_loaded_last() -> None:
    assert "no [hashes] order or time" in refusal(SETS.format("newest")).message
    assert "no [hashes] order or time" in refusal(SETS.format("newest") + HASHES).message
    read = loads_profile(SETS.format("newest") + HASHES + 'order = "Event"\n', "site.toml")
    assert (read.references[0].sets, loads_profile(dumps_profile(read), "site.toml")) == ("newest", read)
    assert loads_profile(SETS.format("united"), "site.toml").references[0].sets == "united"
    assert "it may be united, newest" in str(refusal(SETS.format("oldest")).hint)


def test_a_table_has_one_column_that_says_whose_data_a_row_is() -> None:
    other = SETS.format("newest").replace('"Guid"', '"Other"')
    found = refusal(SETS.format("newest") + other + HASHES + 'time = "At"\n')
    assert "two columns" in found.message
