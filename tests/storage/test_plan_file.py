"""A plan comes back from its file as it was, or not at all: each edit, cut and confusion is refused with a reason."""

from __future__ import annotations

import dataclasses
import datetime as dt
import errno
import json
import os
import stat
import uuid
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from repair_strategies import PLANS

from mergeguard.core.repair import plan as plans
from mergeguard.core.repair.evidence import Confidence
from mergeguard.core.repair.plan import Action, Column, Plan, Refused, RowChange, Step, TableShape, TargetIdentity
from mergeguard.errors import ExitCode, PlanRefused, Unsupported, UsageError, WriteFailed
from mergeguard.storage.own_files import new_file, plan_file
from mergeguard.storage.own_files.plan_file import digest, dumps_plan, load_plan, loads_plan, save_plan

SCHEMA = json.loads(resources.files("mergeguard.schemas").joinpath("plan-1.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
MADE = dt.datetime(2024, 2, 29, 23, 0, 0, 1, dt.UTC)
OLD, NEW = uuid.UUID(int=1 << 120), uuid.UUID(int=2)
ROW = {"Id": "7", "OldGuid": str(OLD), "NewGuid": str(NEW), "MergedAt": None}
PLAN = Plan(
    plan_id="0f" * 16,
    created=MADE,
    expires=MADE + dt.timedelta(hours=24),
    tool_version="0.2.0",
    target=TargetIdentity("postgresql://dba@db/cmdb", "postgresql", "PostgreSQL 16", "cmdb", "a1" * 32),
    profile={"name": "reference", "merge": {"table": "ResourceMerge"}},
    tables=(TableShape("ResourceMerge", (Column("Id", "bigint", identity=True), Column("OldGuid", "uuid")), ("Id",)),),
    steps=(
        Step(
            component="c0ffee",
            kinds=("cycle",),
            members=(OLD, NEW),
            survivor=NEW,
            confidence=Confidence.STRONG,
            why="the only live one of 2",
            changes=(RowChange(Action.RETIRE, "ResourceMerge", ROW, None),),
            guard=(ROW, ROW | {"Id": "8"}),
            evidence={"votes": [{"kind": "liveness", "weight": 1.5}]},
            notes=("12 rows still hold it",),
        ),
    ),
    refused=(Refused("dead", ("split",), (OLD,), "nothing decides", f"dead,{OLD},?,?", {"candidates": 2}),),
    left_alone=({"rule": "chain", "count": 3, "why": "a chain is no damage"},),
    notes=("read in a snapshot",),
)
TEXT = dumps_plan(PLAN)


def refusal(text: str, now: dt.datetime | None = MADE) -> PlanRefused:
    with pytest.raises(PlanRefused) as caught:
        loads_plan(text, origin="night.json", now=now)
    error = caught.value
    assert error.exit_code is ExitCode.PLAN_REFUSED
    assert "night.json" in error.message
    assert error.hint
    return error


def sealed(document: dict[str, Any]) -> str:
    """A document with a digest that fits: what a careful forger, or a bug, would write."""
    document.pop("digest", None)
    return json.dumps(document | {"digest": digest(document)})


@given(PLANS)
def test_a_plan_reads_back_as_it_was_and_has_one_text(plan: Plan) -> None:
    text = dumps_plan(plan)
    again = loads_plan(text, origin="p", now=None)
    assert again == plan
    assert dumps_plan(again) == text  # the order of columns too


@given(PLANS)
def test_what_is_written_is_what_the_schema_says(plan: Plan) -> None:
    VALIDATOR.validate(json.loads(dumps_plan(plan)))


def test_the_schema_describes_every_field_and_no_other() -> None:
    kinds = {"step": Step, "refused": Refused, "target": TargetIdentity, "change": RowChange, "column": Column}
    for name, kind in {**kinds, "table": TableShape}.items():
        described = SCHEMA["$defs"][name]
        assert described["required"] == [*described["properties"]] == [field.name for field in dataclasses.fields(kind)]
        assert described["additionalProperties"] is False
    assert set(SCHEMA["properties"]) == {field.name for field in dataclasses.fields(Plan)} | {"format", "digest"}
    assert SCHEMA["$defs"]["change"]["properties"]["action"]["enum"] == [one.value for one in Action]
    assert SCHEMA["$defs"]["confidence"]["enum"] == [one.value for one in Confidence]
    assert SCHEMA["properties"]["version"]["const"] == plans.PLAN_VERSION


@given(PLANS)
def test_a_file_shows_nothing_that_a_terminal_would_hide_or_turn_around(plan: Plan) -> None:
    assert all(character.isprintable() or character == "\n" for character in dumps_plan(plan))


def test_a_row_stands_on_a_line_of_its_own() -> None:
    assert f'     "before": {json.dumps(ROW)},\n' in TEXT
    assert "ünï 漢" in dumps_plan(dataclasses.replace(PLAN, notes=("ünï 漢",)))


@given(PLANS, st.randoms(use_true_random=False))
def test_layout_and_order_of_keys_do_not_matter(plan: Plan, random: Any) -> None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: shuffled(value[key]) for key in random.sample([*value], len(value))}
        return [shuffled(entry) for entry in value] if isinstance(value, list) else value

    text = json.dumps(shuffled(json.loads(dumps_plan(plan))), indent=random.choice([None, 4]))
    assert loads_plan(text.replace("\n", "\r\n"), origin="p", now=None) == plan


def test_two_halves_of_a_character_are_refused_where_they_would_become_one() -> None:
    with pytest.raises(Unsupported, match="halves"):
        dumps_plan(dataclasses.replace(PLAN, notes=("\ud83d\ude00",)))


# Damage.


@pytest.mark.parametrize("change", [lambda byte: byte ^ 1, lambda byte: byte ^ 32, lambda _: 0xFF, lambda _: ord("0")])
def test_a_flipped_byte_anywhere_is_refused(tmp_path: Path, change: Callable[[int], int]) -> None:
    file, whole = tmp_path / "night.json", TEXT.encode()
    refused = 0
    for at, byte in enumerate(whole):
        if change(byte) == byte:
            continue
        file.write_bytes(whole[:at] + bytes((change(byte),)) + whole[at + 1 :])
        try:
            assert load_plan(file, now=MADE) == PLAN
            assert bytes((byte,)).isspace(), f"byte {at} was changed and nobody noticed"
        except PlanRefused:
            refused += 1
    assert refused >= len(whole) / 2


def test_a_plan_cut_short_at_any_length_is_refused(tmp_path: Path) -> None:
    file, whole = tmp_path / "night.json", TEXT.encode()
    for length in range(len(whole) - 1):  # without its last line end it is whole
        file.write_bytes(whole[:length])
        with pytest.raises(PlanRefused, match="no whole JSON text"):
            load_plan(file, now=MADE)
    file.write_bytes(whole[:-1])
    assert load_plan(file, now=MADE) == PLAN


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The way to every value that holds no others."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, entry in entries for place in leaves(entry, (*path, key))] or [path]


@given(PLANS, st.data())
def test_an_edit_of_any_value_is_refused(plan: Plan, data: st.DataObject) -> None:
    document = json.loads(dumps_plan(plan))
    place = data.draw(st.sampled_from([place for place in leaves(document) if place[0] != "digest"]))
    holder: Any = document
    for key in place[:-1]:
        holder = holder[key]
    was = holder[place[-1]]
    holder[place[-1]] = data.draw(st.text(max_size=3).filter(lambda value: value != was))
    refusal(json.dumps(document))


@pytest.mark.parametrize(
    ("text", "said", "hinted"),
    [
        ("", "no whole JSON text", "copy it again"),
        ("plan", "no whole JSON text", "copy it again"),
        (TEXT + "}", "no whole JSON text", "copy it again"),
        (TEXT + TEXT, "no whole JSON text", "copy it again"),
        ("[" * 100_000, "nested too deeply", "copy it again"),
        ("1" * 5000, "no whole JSON text", "copy it again"),
        (TEXT.replace('"version": 1', '"version": 1, "version": 1'), "stands twice", "copy it again"),
        (TEXT.replace('"count": 3', '"count": NaN'), "NaN is no JSON", "copy it again"),
        ("[]", "is not a plan", "mergeguard plan"),
        ("{}", "is not a plan", "mergeguard plan"),
        ('{"format": "mergeguard-plan"}', "is not a plan", "mergeguard plan"),
        ('{"format": "mergeguard-plan", "version": true}', "is not a plan", "mergeguard plan"),
        ('{"format": "mergeguard-plan", "version": 0}', "is not a plan", "mergeguard plan"),
        ('{"format": "mergeguard-plan", "version": 2}', "newer MergeGuard (plan version 2; this one", "that made it"),
        ('{"format": "mergeguard-plan", "version": 1}', "lacks digest", "again"),
        (TEXT.replace("the only live", "not the live"), "was edited", "reviewed"),
        (TEXT.replace("a1a1", "a1a2"), "was edited", "reviewed"),
    ],
)
def test_each_refusal_says_why_and_what_to_do(text: str, said: str, hinted: str) -> None:
    error = refusal(text)
    assert said in error.message
    assert hinted in str(error.hint)


def test_a_newer_version_is_told_before_anything_else_is_judged() -> None:
    document = json.loads(TEXT) | {"version": 7, "expires": "never"}
    del document["digest"], document["steps"]
    assert "newer" in refusal(json.dumps(document), PLAN.expires).message


def test_a_plan_expires_at_its_moment_and_not_before() -> None:
    assert loads_plan(TEXT, origin="p", now=PLAN.expires - dt.timedelta(microseconds=1)) == PLAN
    assert "expired on 2024-03-01 at 23:00:00 UTC" in refusal(TEXT, PLAN.expires).message
    there = PLAN.expires.astimezone(dt.timezone(dt.timedelta(hours=-11)))
    assert "expired" in refusal(TEXT, there).message
    assert loads_plan(TEXT, origin="p", now=None) == PLAN


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The way to every field that the code declares; what lies in free objects is anybody's."""
    free = {"profile", "evidence", "left_alone", "before", "after", "guard"}
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [(*path, key) for key, _ in entries] if isinstance(value, dict) else []
    return found + [place for key, entry in entries if key not in free for place in places(entry, (*path, key))]


PLACES = [place for place in places(json.loads(TEXT)) if place[0] not in {"format", "version", "digest"}]


def spelt(place: tuple[str | int, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")


@pytest.mark.parametrize("place", PLACES, ids=spelt)
def test_a_missing_or_unfit_field_is_named_even_where_the_digest_fits(place: tuple[str | int, ...]) -> None:
    for wrong in ("gone", 5, 1.5, True, "", [1], {"a": 1}, None):
        document = json.loads(TEXT)
        holder: Any = document
        for key in place[:-1]:
            holder = holder[key]
        if wrong == "gone":
            del holder[place[-1]]
            assert f"lacks {spelt(place)}" in refusal(sealed(document)).message
            continue
        fits = type(holder[place[-1]]) is type(wrong) and wrong != [1]
        free = place[-1] in {"profile", "evidence", "before", "after"} and isinstance(wrong, dict)
        nothing = wrong is None and place[-1] in {"survivor", "before", "after"}
        holder[place[-1]] = wrong
        try:
            loads_plan(sealed(document), origin="night.json", now=None)
            assert fits or free or nothing, f"{spelt(place)} may be {wrong!r}"
        except PlanRefused as error:
            assert spelt(place) in error.message  # noqa: PT017 - some wrong values are right for some fields


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda plan: plan.update(extra=1), "unknown field extra"),
        (lambda plan: plan["steps"][0].update(more=1), "unknown field steps[0].more"),
        (lambda plan: plan["steps"][0]["guard"][1].update(Id=8), "steps[0].guard[1].Id is a number"),
        (lambda plan: plan["steps"][0].update(confidence="sure"), "steps[0].confidence is 'sure'"),
        (lambda plan: plan["steps"][0]["members"].append(f"{{{OLD}}}"), "steps[0].members[2] is"),
        (lambda plan: plan["steps"][0]["members"].append(str(OLD).replace("0", "A", 1)), "steps[0].members[2] is"),
        (lambda plan: plan.update(created="2024-01-01T00:00:00"), "created is '2024-01-01T00:00:00'"),
    ],
)
def test_a_value_that_makes_no_sense_is_named(edit: Callable[[Any], None], said: str) -> None:
    document = json.loads(TEXT)
    edit(document)
    assert said in refusal(sealed(document)).message


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_any_other_text_is_refused(text: str) -> None:
    refusal(text)


# Files.


def test_a_plan_file_is_for_its_owner_alone_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "night.json"
    before = os.umask(0)
    try:
        save_plan(PLAN, file)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [*tmp_path.iterdir()] == [file]
    assert load_plan(file, now=MADE) == PLAN


@pytest.mark.parametrize("make", [lambda file: file.write_text("mine"), lambda file: file.symlink_to("nowhere")])
def test_a_file_that_is_there_stays_unless_asked(tmp_path: Path, make: Callable[[Path], object]) -> None:
    file = tmp_path / "night.json"
    make(file)
    with pytest.raises(UsageError, match="is there already"):
        save_plan(PLAN, file)
    assert file.is_symlink() or file.read_text() == "mine"
    save_plan(PLAN, file, replace=True)
    assert load_plan(file, now=MADE) == PLAN
    assert [*tmp_path.iterdir()] == [file]


def test_a_link_to_a_file_stays_a_link(tmp_path: Path) -> None:
    file, link = tmp_path / "night.json", tmp_path / "latest.json"
    file.write_text("old")
    link.symlink_to(file)
    save_plan(PLAN, link, replace=True)
    assert link.is_symlink()
    assert load_plan(file, now=MADE) == PLAN


@pytest.mark.parametrize("linked", [False, True])
def test_a_pipe_is_never_replaced(tmp_path: Path, *, linked: bool) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    named = tmp_path / "stdout" if linked else pipe
    if linked:
        named.symlink_to(pipe)
    with pytest.raises(UsageError, match="a device or a pipe"):
        save_plan(PLAN, named, replace=True)
    assert pipe.is_fifo()
    assert named.is_symlink() is linked


def test_of_two_writers_one_wins_and_the_other_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "night.json"
    made = new_file._temporary

    def overtaken(path: Path, content: bytes) -> Path:
        file.write_text("quicker")
        return made(path, content)

    monkeypatch.setattr(new_file, "_temporary", overtaken)
    with pytest.raises(UsageError, match="is there already"):
        save_plan(PLAN, file)
    assert file.read_text() == "quicker"
    assert [*tmp_path.iterdir()] == [file]


def test_a_file_system_without_hard_links_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: Path, _target: Path) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    save_plan(PLAN, tmp_path / "night.json")
    assert load_plan(tmp_path / "night.json", now=MADE) == PLAN
    assert len([*tmp_path.iterdir()]) == 1


def test_the_file_and_then_its_name_are_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[bool, list[str]]] = []

    def fsync(handle: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(handle).st_mode)
        synced.append((is_folder, sorted(path.suffix for path in tmp_path.iterdir())))

    monkeypatch.setattr(os, "fsync", fsync)
    save_plan(PLAN, tmp_path / "night.json")
    assert synced == [(False, [".part"]), (True, [".json"])]


@pytest.mark.parametrize(
    ("code", "kind"), [(errno.ENOSPC, WriteFailed), (errno.EIO, WriteFailed), (errno.EROFS, UsageError)]
)
def test_a_write_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[Exception]
) -> None:
    def fsync(_handle: int) -> None:
        raise OSError(code, os.strerror(code))

    (tmp_path / "old.json").write_text("mine")
    monkeypatch.setattr(os, "fsync", fsync)
    for name, replace in (("new.json", False), ("old.json", True)):
        with pytest.raises(kind, match=os.strerror(code)):
            save_plan(PLAN, tmp_path / name, replace=replace)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("old.json", "mine")]


@pytest.mark.parametrize("name", ["no/such/folder/plan.json", "x" * 300, "a\0b", "file/plan.json"])
def test_a_place_where_no_file_can_be_is_a_usage_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError):
        save_plan(PLAN, tmp_path / name)
    with pytest.raises(UsageError):
        load_plan(tmp_path / name, now=MADE)


def test_a_folder_is_no_plan(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        load_plan(tmp_path, now=MADE)
    with pytest.raises(UsageError):
        save_plan(PLAN, tmp_path, replace=True)


def test_a_file_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "night.json"
    with file.open("wb") as opened:
        opened.truncate(plan_file.MAX_BYTES + 1)  # a hole: nothing is on the disk
    with pytest.raises(PlanRefused, match="larger than 256 MB"):
        load_plan(file, now=MADE)


def test_a_plan_that_nobody_could_read_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_file, "MAX_BYTES", len(TEXT.encode()) - 1)
    with pytest.raises(UsageError, match="would be larger"):
        save_plan(PLAN, tmp_path / "night.json")
    assert not [*tmp_path.iterdir()]
    monkeypatch.setattr(plan_file, "MAX_BYTES", len(TEXT.encode()))
    save_plan(PLAN, tmp_path / "night.json")
    assert load_plan(tmp_path / "night.json", now=MADE) == PLAN


def test_a_byte_order_mark_does_no_harm_and_another_encoding_is_named(tmp_path: Path) -> None:
    file = tmp_path / "night.json"
    file.write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    assert load_plan(file, now=MADE) == PLAN
    file.write_bytes(TEXT.encode("utf-16"))
    with pytest.raises(PlanRefused, match="not UTF-8"):
        load_plan(file, now=MADE)
