"""The page on the seed documents: no point is left out, and every file, test and setting it names exists."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from mergeguard.core.events import INLINE_CHARACTERS, Queue
from mergeguard.processor.metrics import METRICS, Metric
from mergeguard.processor.settings import ENTRIES
from mergeguard.processor.settings_entry import Entry
from mergeguard.processor.status import StatusRow

CHECKOUT = Path(__file__).parents[2]
REFERENCE = CHECKOUT / "docs" / "reference"
PAGE = (REFERENCE / "seed.md").read_text("utf-8")
HEAD = ("point", "what it says", "here", "code", "tests", "settings")
POINTS = [
    *(str(number) for number in range(1, 15)),  # the known changes
    *(f"Q{number}" for number in range(1, 17)),  # the questions and answers
    *(f"K{number}" for number in range(1, 7)),  # the second document
]
NOT_BUILT = "not built"
NONE = "none"


@dataclass(frozen=True)
class Row:
    point: str
    says: str
    here: str
    code: str
    tests: str
    settings: str

    @property
    def is_built(self) -> bool:
        return self.code != NOT_BUILT


def rows() -> list[Row]:
    lines = [line for line in PAGE.splitlines() if line.startswith("| ")]
    cells = [tuple(cell.strip() for cell in line.strip().strip("|").split(" | ")) for line in lines]
    return [Row(*line) for line in cells if line != HEAD]


ROWS = rows()
BUILT = [row for row in ROWS if row.is_built]
SETTINGS = {entry.name for entry in ENTRIES}


def quoted(cell: str) -> list[str]:
    found = re.findall(r"`([^`]+)`", cell)
    assert cell == ", ".join(f"`{name}`" for name in found), f"a cell holds names alone: {cell}"
    return found


@cache
def names_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}


def test_every_point_of_both_documents_has_one_row() -> None:
    assert [row.point for row in ROWS] == POINTS
    assert PAGE.count("| " + " | ".join(HEAD) + " |") == 3


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.point)
def test_a_row_says_what_the_document_says_and_what_we_do(row: Row) -> None:
    for cell in (row.says, row.here):
        assert cell.endswith(".")
        assert len(cell.split()) > 2
    if not row.is_built:
        reason = row.here.removeprefix("Not built: ")
        assert reason != row.here
        assert len(reason.split()) > 5, "it says why"
        assert (row.tests, row.settings) == (NONE, NONE)


@pytest.mark.parametrize("row", BUILT, ids=lambda row: row.point)
def test_the_code_that_a_row_names_exists(row: Row) -> None:
    named = quoted(row.code)
    assert named
    assert [name for name in named if not (CHECKOUT / "mergeguard" / name).is_file()] == []


@pytest.mark.parametrize("row", BUILT, ids=lambda row: row.point)
def test_the_tests_that_a_row_names_exist_and_are_tests(row: Row) -> None:
    named = quoted(row.tests)
    assert named
    for name in named:
        path, _, function = name.partition("::")
        assert (CHECKOUT / path).is_file(), name
        assert function.startswith("test_")
        assert function in names_in(CHECKOUT / path), name


@pytest.mark.parametrize("row", BUILT, ids=lambda row: row.point)
def test_the_settings_that_a_row_names_exist(row: Row) -> None:
    if row.settings != NONE:
        assert [name for name in quoted(row.settings) if name not in SETTINGS] == []


def test_every_setting_of_the_seed_is_the_answer_to_some_point() -> None:
    told = {name for row in BUILT if row.settings != NONE for name in quoted(row.settings)}
    assert {entry.name for entry in ENTRIES if entry.source in {"seed", "domain"}} <= told


def test_numbers_that_the_page_spells_are_those_of_the_code() -> None:
    said = next(row.says for row in ROWS if row.point == "6")
    assert f"fewer than {INLINE_CHARACTERS:,} UTF-8 characters" in said
    ids = next(row.says for row in ROWS if row.point == "9")
    assert ", ".join(f"{int(queue)} {queue.name.lower()}" for queue in Queue) in ids
    by_name = {entry.name: entry.default for entry in ENTRIES}
    assert f"{by_name['max_file_queue_kb']:,} KB" in next(row.says for row in ROWS if row.point == "Q13")
    assert by_name["event_retry_limit"] == 3
    assert "and then 3." in next(row.says for row in ROWS if row.point == "Q10")


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_setting_of_the_processor_is_documented_as_it_is(entry: Entry) -> None:
    page = (REFERENCE / "core-settings.md").read_text("utf-8")
    [line] = [line for line in page.splitlines() if line.startswith("|") and f"| `{entry.name}` |" in line]

    cells = [cell.strip() for cell in line.strip("|").split("|")]
    default = "not set" if entry.default is None else f"`{entry.default}`"
    assert (cells[0], cells[2], cells[3]) == (f"`{entry.names[1]}`", default, entry.unit)
    assert cells[5:] == [entry.source, entry.doc]


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_of_the_queue_is_documented(metric: Metric) -> None:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    line = f"| `{metric.name}` | {metric.type} | {labels} | {metric.help} |"
    assert line in (REFERENCE / "metrics.md").read_text("utf-8")


def test_the_columns_of_the_data_class_are_documented_in_their_order() -> None:
    _, _, section = (REFERENCE / "queue.md").read_text("utf-8").partition("\n## The data class Event Queue Status\n")
    told = re.findall(r"^\| `(\w+)` \|", section.partition("\n## ")[0], re.MULTILINE)
    assert told == list(StatusRow.__dataclass_fields__)
