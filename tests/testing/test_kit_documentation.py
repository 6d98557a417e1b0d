"""What the pages of the kit say is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mergeguard.testing import CHECKS, MergeIsWrong, Sandbox
from mergeguard.testing.mutants import MUTANTS
from mergeguard.testing.walkers import NAME

DOCS = Path(__file__).parents[2] / "docs"
HOW_TO = (DOCS / "how-to" / "test-your-merge.md").read_text("utf-8")
EXPLANATION = (DOCS / "explanation" / "testing-kit.md").read_text("utf-8")


def test_the_example_of_ten_lines_fails_as_the_page_shows(
    sandbox: Sandbox, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", HOW_TO, re.DOTALL)
    shown = HOW_TO.partition("this is one:\n\n```\n")[2].partition("```")[0]
    monkeypatch.setenv("TEST_DATABASE_URL", postgres_url)
    names: dict[str, object] = {}
    exec(code, names)  # noqa: S102 - the page's own lines
    with pytest.raises(MergeIsWrong) as caught:
        names["test_merge"]()  # type: ignore[operator]

    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    told, page = (
        [line for line in text.splitlines() if re.match(r" *\d+ |\* stale", line)]
        for text in (str(caught.value), shown)
    )
    assert re.search(r"a cycle: . -> . -> .", str(caught.value))
    assert len(told) == len(page), "as many steps, and the stale read"
    assert told[-1].startswith("* stale: step ")


def test_every_check_is_on_the_page() -> None:
    assert set(re.findall(r"^\| `(\w+)` \| (?:at|from|every)", HOW_TO, re.MULTILINE)) == {*CHECKS, NAME}


def test_the_zoo_on_the_page_is_the_zoo_that_is_tested() -> None:
    rows = re.findall(r"^\| (.+) \| `(\w+)` \| (\d+) \| (\d+) \|$", EXPLANATION, re.MULTILINE)

    assert [row[:3] for row in rows] == [(one.name, one.killed_by, str(one.budget)) for one in MUTANTS]
    assert all(int(schedules) <= int(budget) for *_, budget, schedules in rows)


def test_the_tables_on_the_page_are_those_of_the_sandbox(sandbox: Sandbox) -> None:
    sql = "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"
    for table, cells in re.findall(r"^\| `(\w+)` \| (`\w+`.*) \|$", HOW_TO.partition("## The checks")[0], re.MULTILINE):
        columns = set(re.findall(r"`(\w+)`", cells.partition(":")[0]))
        found = {name for (name,) in sandbox.observer.execute(sql, [sandbox.schema, table]).fetchall()}
        assert columns <= found, table
