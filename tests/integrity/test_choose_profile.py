"""The profile of a target: what is built in or in a file, corrected by what is said in passing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import mergeguard
from mergeguard import Overrides, Profile, choose_profile
from mergeguard.errors import ProfileError, UsageError
from mergeguard.storage.profile import Live, Lookup, Merge, Reference, Types
from mergeguard.storage.profile_file import dumps_profile

REFERENCE = mergeguard.builtin_profile("reference")


@pytest.mark.parametrize("target", ["a.csv", "dir/b.TSV", "c.csv.gz", "d.parquet"])
def test_a_file_is_a_table_of_merges_with_nothing_beside_it(target: str) -> None:
    assert choose_profile(target) == Profile(name="flags")


@pytest.mark.parametrize("target", ["a.db", "sqlite:///a.db", "postgresql://h/d", "mssql+pyodbc://h/d?driver=x.csv"])
def test_a_database_is_read_by_the_reference_profile(target: str) -> None:
    assert choose_profile(target) == REFERENCE


@pytest.mark.parametrize("said", [Overrides(table="redirects"), Overrides(old="a"), Overrides(new="b")])
def test_who_names_the_merge_table_means_no_schema_of_ours(said: Overrides) -> None:
    """Else two columns of a plain table could not be scanned without a profile file."""
    chosen = choose_profile("postgresql://host/db", None, said)
    assert (chosen.live, chosen.types, chosen.keys, chosen.references) == (None, None, None, ())
    assert (chosen.merge.row_id, chosen.merge.time, chosen.merge.merge_key) == (None, None, None)
    assert choose_profile("postgresql://host/db", "reference", said).references == REFERENCE.references
    same = Overrides(table=REFERENCE.merge.table, old=REFERENCE.merge.old, new=REFERENCE.merge.new)
    assert choose_profile("postgresql://host/db", None, same) == REFERENCE


def test_a_base_is_a_profile_a_name_or_a_file(tmp_path: Path) -> None:
    mine = Profile(name="mine", merge=Merge("M", "o", "n", deleted_values=("gone",)), lookup=Lookup("L"))
    (tmp_path / "mine.toml").write_text(dumps_profile(mine))
    assert choose_profile("a.db", mine) is mine or choose_profile("a.db", mine) == mine
    assert choose_profile("a.csv", "reference") == REFERENCE
    assert choose_profile("a.csv", tmp_path / "mine.toml") == mine
    assert choose_profile("a.csv", str(tmp_path / "mine.toml")) == mine
    with pytest.raises(ProfileError):
        choose_profile("a.csv", tmp_path / "yours.toml")


def test_what_is_not_said_stays() -> None:
    assert choose_profile("a.db", REFERENCE, Overrides()) == REFERENCE


@pytest.mark.parametrize(
    ("said", "merge"),
    [
        (Overrides(old="o", new="n"), {"old": "o", "new": "n"}),
        (Overrides(row_id="r", time="t", merge_key="k"), {"row_id": "r", "time": "t", "merge_key": "k"}),
        (Overrides(ids="text"), {"ids": "text"}),
        (Overrides(byte_order="sqlserver"), {"byte_order": "sqlserver"}),
        (Overrides(deleted_values=("gone", "")), {"deleted_values": ("gone", "")}),
        (Overrides(deleted_values=()), {"deleted_values": ()}),
        (Overrides(table=REFERENCE.merge.table), {}),
    ],
)
def test_each_word_about_the_merges_changes_its_own_place(said: Overrides, merge: dict[str, object]) -> None:
    assert choose_profile("a.db", "reference", said) == replace(REFERENCE, merge=replace(REFERENCE.merge, **merge))


def test_another_table_forgets_the_columns_beside_old_and_new_and_nothing_else() -> None:
    """How guids are stored is a matter of the database, not of one table."""
    base = replace(
        REFERENCE, merge=replace(REFERENCE.merge, ids="text", byte_order="sqlserver", deleted_values=("gone",))
    )
    chosen = choose_profile("a.db", base, Overrides(table="Other", time="When"))
    old, new = REFERENCE.merge.old, REFERENCE.merge.new
    assert chosen.merge == Merge(
        "Other", old, new, time="When", ids="text", byte_order="sqlserver", deleted_values=("gone",)
    )
    assert replace(chosen, merge=base.merge) == base


@pytest.mark.parametrize(
    ("text", "live"),
    [
        ("T:g", Live("T", "g")),
        ("T:g:a=1", Live("T", "g", (("a", "1"),))),
        ("dbo.T:g:a=1:b=x=y", Live("dbo.T", "g", (("a", "1"), ("b", "x=y")))),
        ("T:g:a=", Live("T", "g", (("a", ""),))),
    ],
)
def test_liveness_is_a_table_a_column_and_filters(text: str, live: Live) -> None:
    assert choose_profile("a.db", None, Overrides(live=text)).live == live


def test_liveness_may_be_a_query() -> None:
    assert choose_profile("a.db", None, Overrides(live_query="SELECT g")).live == Live(query="SELECT g")


def test_types_lookup_and_references() -> None:
    said = Overrides(types="T:g:t", lookup_table="L", references=("R:c", "S:d"))
    chosen = choose_profile("a.db", None, said)
    assert chosen.types == Types("T", "g", "t")
    assert chosen.lookup == replace(REFERENCE.lookup, table="L")
    assert chosen.references == (*REFERENCE.references, Reference("R", "c"), Reference("S", "d"))


@pytest.mark.parametrize(
    "said",
    [
        Overrides(live="T"),
        Overrides(live=":g"),
        Overrides(live="T:"),
        Overrides(live="T:g:a"),
        Overrides(live="T:g", live_query="SELECT g"),
        Overrides(types="T:g"),
        Overrides(types="T:g:t:x"),
        Overrides(types="T::t"),
        Overrides(references=("R",)),
        Overrides(references=("R:c", "S:")),
    ],
)
def test_what_cannot_be_read_is_a_mistake_with_a_hint(said: Overrides) -> None:
    with pytest.raises(UsageError) as caught:
        choose_profile("a.db", None, said)
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("give ")
