"""Help pages and the catalogue of rules, pinned word for word."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from syrupy.assertion import SnapshotAssertion

from mergeguard.cli import exit_codes
from mergeguard.core.rules import RULES

COMMANDS = (
    "",
    "scan",
    "nightly",
    "explain",
    "resolve",
    "plan",
    "show",
    "apply",
    "repair",
    "undo",
    "merge",
    "unmerge",
    "journal",
    "merges",
    "keys",
    "duplicates",
    "guard",
    "guard install",
    "guard status",
    "guard prove",
    "guard remove",
    "sql",
    "sql show",
    "sql install",
    "sql uninstall",
    "serve",
    "post",
    "nse",
    "nse make",
    "nse check",
    "queue",
    "queue status",
    "queue list",
    "queue show",
    "queue parked",
    "queue wake",
    "queue sources",
    "queue retry",
    "queue drop",
    "queue export",
    "queue doctor",
    "catalogue",
    "catalogue list",
    "catalogue show",
    "catalogue add",
    "lookup",
    "lookup build",
    "lookup verify",
    "lookup export",
    "history",
    "discover",
    "doctor",
    "config",
    "config show",
    "config queue",
    "demo",
)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command(name: str, call: Callable, snapshot: SnapshotAssertion) -> None:
    ran = call(*name.split(), "--help")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == snapshot


@pytest.mark.parametrize("name", COMMANDS)
def test_help_names_no_python_type_and_fits_a_narrow_terminal(
    name: str, call: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    page = call(*name.split(), "--help").out
    assert not re.search(r"[<{]|\bNone\b|list\[|\x1b", page)
    assert max(map(len, page.splitlines())) <= 80
    assert "..." not in re.sub(r"\b[A-Z]+\.\.\.(?!\.)", "", page), (
        "nothing is cut off; of an argument it means more of them"
    )
    codes = exit_codes.of(name).items()
    assert all(re.search(rf"^  {code.value} +{re.escape(words[:20])}", page, re.MULTILINE) for code, words in codes)


def test_the_commands_above_are_all_there_are(call: Callable) -> None:
    def below(path: tuple[str, ...]) -> list[str]:
        _, _, listed = call(*path, "--help").out.partition("Commands:\n")
        names = re.findall(r"^  ([a-z]+)  ", listed.partition("\n\n")[0], re.MULTILINE)
        return [" ".join(path), *(found for name in names for found in below((*path, name)))]

    assert below(()) == list(COMMANDS)


@pytest.mark.parametrize("group", ["", "lookup", "config"])
def test_a_group_without_a_command_shows_its_help_on_stderr(group: str, call: Callable) -> None:
    ran = call(*group.split())
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == call(*group.split(), "--help").out


def test_version(call: Callable) -> None:
    ran = call("--version")
    assert (ran.code, ran.err) == (0, "")
    assert re.fullmatch(r"mergeguard \d+\.\d+\.\d+\S*\n", ran.out)


def test_list_of_rules(call: Callable, snapshot: SnapshotAssertion) -> None:
    ran = call("scan", "--list-rules")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == snapshot


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_explanation_of_every_rule(rule: object, call: Callable, snapshot: SnapshotAssertion) -> None:
    ran = call("scan", "--explain", rule.id)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == snapshot
    assert call("scan", "--explain", rule.name.upper()) == ran
