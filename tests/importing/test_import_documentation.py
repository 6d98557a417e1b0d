"""The page about what imports promise names every check and every planted fault, as they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from importing.import_mutants import COMMUTE, MUTANTS, Mutant
from importing.import_race import SERIALISABLE
from importing.import_state import CHECKS

PAGE = (Path(__file__).parents[2] / "docs" / "explanation" / "import-properties.md").read_text("utf-8")


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_a_planted_fault_stands_there_with_its_check(mutant: Mutant) -> None:
    assert f"| {mutant.name} | `{mutant.killed_by}` | {'a race' if mutant.races else 'an order'} |" in PAGE
    assert mutant.budget <= 60


def test_every_check_stands_there() -> None:
    names = PAGE.partition("## The names")[2].partition("## How they are run")[0]
    assert all(f"`{name}`" in names for name in {*CHECKS, SERIALISABLE, COMMUTE})
