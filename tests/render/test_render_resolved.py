"""Answers of a bulk resolve: what a program reads back is what was answered."""

from __future__ import annotations

import csv
import io
import json
import uuid
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from mergeguard.render import RESOLVED_FORMATS, render_resolved
from mergeguard.render.text import sound, visible

SCHEMA = json.loads(resources.files("mergeguard.schemas").joinpath("resolve-1.json").read_text("utf-8"))
LINE = Draft202012Validator({"$ref": "#/$defs/answer", "$defs": SCHEMA["$defs"]})
_GUIDS = st.none() | st.uuids()


@pytest.fixture(scope="session")
def answers(hostile_texts: st.SearchStrategy[str]) -> st.SearchStrategy[list[tuple[object, ...]]]:
    row = st.tuples(hostile_texts, _GUIDS, _GUIDS, st.none() | st.integers(0, 10**6), hostile_texts)
    return st.lists(row, max_size=4)


def _written(row: tuple[object, ...]) -> list[str]:
    return ["" if cell is None else sound(cell) for cell in row]


@given(st.data())
def test_csv_gives_back_every_cell(answers: st.SearchStrategy[list[tuple[object, ...]]], data: st.DataObject) -> None:
    rows = data.draw(answers)
    head, *read = csv.reader(io.StringIO(render_resolved(rows, "csv"), newline=""))
    assert head == ["asked", "guid", "current", "depth", "status"]
    assert read == [_written(row) for row in rows]


@given(st.data())
def test_tsv_has_a_line_an_answer_and_five_cells_a_line(
    answers: st.SearchStrategy[list[tuple[object, ...]]], data: st.DataObject
) -> None:
    rows = data.draw(answers)
    lines = render_resolved(rows, "tsv").removesuffix("\n").split("\n")
    assert [line.split("\t") for line in lines[1:]] == [[visible(cell) for cell in _written(row)] for row in rows]


@given(st.data())
def test_json_and_jsonl_satisfy_the_schema_and_agree(
    answers: st.SearchStrategy[list[tuple[object, ...]]], data: st.DataObject
) -> None:
    rows = data.draw(answers)
    whole = json.loads(render_resolved(rows, "json"))
    Draft202012Validator(SCHEMA).validate(whole)
    lines = [json.loads(line) for line in render_resolved(rows, "jsonl").splitlines()]
    for line in lines:
        LINE.validate(line)
    assert lines == whole["answers"]
    assert [(line["asked"], line["depth"]) for line in lines] == [(sound(row[0]), row[3]) for row in rows]


@given(st.data())
def test_the_table_is_safe_to_show(answers: st.SearchStrategy[list[tuple[object, ...]]], data: st.DataObject) -> None:
    rows = data.draw(answers)
    text = render_resolved(rows, "table")
    assert all(char == "\n" or char.isprintable() for char in text)
    assert text.count("\n") == len(rows) + 2


@pytest.mark.parametrize("form", RESOLVED_FORMATS)
def test_answers_may_come_from_a_generator(form: str) -> None:
    row = ("x", uuid.UUID(int=1), uuid.UUID(int=2), 1, "ok")
    assert render_resolved((row for _ in range(2)), form) == render_resolved([row, row], form)
