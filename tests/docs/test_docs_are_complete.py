"""Everything that users meet is documented: commands, options, rules, exit codes, errors, metrics, settings, names."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import mergeguard
from mergeguard import errors
from mergeguard.cli.app import app
from mergeguard.core.closure import STATUS_TEXTS
from mergeguard.core.nse.description import EXAMPLE
from mergeguard.core.rules import RULES
from mergeguard.errors import ExitCode, MergeGuardError
from mergeguard.render import EXPLANATION_FORMATS, FORMATS, RESOLVED_FORMATS
from mergeguard.render.prometheus import METRICS
from mergeguard.storage.settings import SETTINGS

CHECKOUT = Path(__file__).parents[2]
DOCS = CHECKOUT / "docs"


def text(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def commands(command: Any, path: str = "mergeguard") -> Iterator[tuple[str, Any]]:
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, f"{path} {name}")


def sections() -> dict[str, str]:
    parts = re.split(r"^## (.*)$", text("reference/commands.md"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


COMMANDS = dict(commands(typer.main.get_command(app)))


def test_the_documented_commands_are_those_there_are() -> None:
    assert set(sections()) == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_and_argument_is_documented_with_a_word_on_it(command: str) -> None:
    section = sections()[command]
    for parameter in COMMANDS[command].params:
        names = [*parameter.opts, *parameter.secondary_opts] if parameter.param_type_name == "option" else []
        for name in names:
            line = re.search(rf"^  (?:--\S+ / )?{re.escape(name)}\b.*(?:\n {{5,}}.*)?", section, re.MULTILINE)
            assert line, f"{command} {name}"
            assert len(line[0].split()) > 2, f"{command} {name} is not explained"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_rule_has_a_page_and_stands_in_the_list(rule: Any) -> None:
    page = text(f"reference/rules/{rule.id}.md")

    assert f"# {rule.id} {rule.name}: " in page
    assert f"| severity | {rule.severity.value} |" in page
    assert f"{rule.id} {rule.name}: {rule.severity.value}, " in page, "its example finds something"
    assert f"[{rule.id}](rules/{rule.id}.md)" in text("reference/rules.md")


def test_there_is_no_page_of_a_rule_that_is_gone() -> None:
    assert {path.stem for path in (DOCS / "reference" / "rules").iterdir()} == {rule.id for rule in RULES}


@pytest.mark.parametrize("code", ExitCode)
def test_every_exit_code_is_documented(code: ExitCode) -> None:
    assert f"| {int(code)} | `{code.name}` | {code.meaning} |" in text("reference/exit-codes.md")


def error_classes() -> list[type[MergeGuardError]]:
    found = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, MergeGuardError)]
    return [kind for kind in found if kind is not MergeGuardError]


@pytest.mark.parametrize("kind", error_classes())
def test_every_error_is_documented(kind: type[MergeGuardError]) -> None:
    [line] = [line for line in text("reference/errors.md").splitlines() if line.startswith(f"| `{kind.__name__}` |")]

    _, _, _, code, retryable, when, hint, _ = (cell.strip() for cell in line.split("|"))
    assert (int(code), retryable == "yes") == (kind.exit_code, kind.retryable)
    assert when == (kind.__doc__ or "").partition("\n\n")[0]
    assert hint == (kind.default_hint or hint) != ""


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_is_documented_with_its_labels(metric: Any) -> None:
    labels = ", ".join(f"`{label}`" for label in ("target", *metric.labels))
    assert f"| `{metric.name}` | {labels} | {metric.help} |" in text("reference/metrics.md")


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_is_documented(setting: Any) -> None:
    page = text("reference/settings.md")
    assert f"| `{setting.name}` |" in page
    assert f"`MERGEGUARD_{setting.name.upper()}`" in page


@pytest.mark.parametrize("name", sorted(set(mergeguard.__all__) - {"__version__"}))
def test_every_public_name_is_documented_with_its_docstring(name: str) -> None:
    _, heading, section = text("reference/python-api.md").partition(f"\n### `{name}`\n")
    first = (getattr(mergeguard, name).__doc__ or "").strip().splitlines()[0]

    assert heading
    assert first.replace("``", "`") in section.partition("\n### ")[0]


@pytest.mark.parametrize(
    ("column", "known"),
    [(3, FORMATS), (4, EXPLANATION_FORMATS), (5, RESOLVED_FORMATS), (6, ("csv", "tsv", "jsonl"))],
    ids=["scan", "explain", "resolve", "export"],
)
def test_the_table_of_formats_is_right(column: int, known: tuple[str, ...]) -> None:
    rows = [line.split("|") for line in text("reference/formats.md").splitlines() if re.match(r"\| `\w+` \| `\.", line)]

    assert {row[1].strip(" `") for row in rows if row[column].strip()} == set(known)
    assert [row[1].strip(" `") for row in rows if row[column].strip() == "default"] == [known[0]]


@pytest.mark.parametrize("status", STATUS_TEXTS)
def test_every_status_is_explained(status: str) -> None:
    assert f"| `{status}` | " in text("explanation/semantics.md")


def requirements() -> list[str]:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))
    groups = [project["project"]["dependencies"], *project["project"]["optional-dependencies"].values()]
    groups += project["dependency-groups"].values()
    return sorted({re.split(r"[<>=!~ ;]", line)[0] for group in groups for line in group})


@pytest.mark.parametrize("requirement", requirements())
def test_every_dependency_has_its_reason(requirement: str) -> None:
    rows = [line.split("|") for line in text("adr/0002-dependencies.md").splitlines() if line.startswith("|")]
    reasons = [row[-2] for row in rows if f"`{requirement}`" in "|".join(row[:-2])]
    assert [reason for reason in reasons if len(reason.split()) > 2]


def test_every_extra_is_in_the_readme() -> None:
    extras = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    readme = (CHECKOUT / "README.md").read_text("utf-8")
    assert [extra for extra in extras if f"[{extra}]" not in readme] == []


def test_the_index_leads_to_every_page() -> None:
    linked = set(re.findall(r"\]\(([^)#]+)", text("index.md")))
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")} - {"index.md"}
    assert {page for page in pages if not page.startswith("reference/rules/")} <= linked


def shown_commands() -> list[str]:
    """Every call of mergeguard in a shell block of the documentation, on one line."""
    pages = [*CHECKOUT.glob("*.md"), *DOCS.rglob("*.md")]
    fences = [
        block
        for page in pages
        for block in re.findall(r"```(?:sh|cron|ini)\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    ]
    lines = [line for block in fences for line in block.replace("\\\n", " ").splitlines()]
    names = "|".join(sorted({command.split()[1] for command in COMMANDS if " " in command}))
    found = [re.search(rf"(?:^|[ /])mergeguard ((?:{names}) .*)", line) for line in lines]
    return sorted({" ".join(match[1].split()) for match in found if match})


def test_the_pages_show_commands() -> None:
    assert len(shown_commands()) > 15


@pytest.mark.parametrize("shown", shown_commands())
def test_a_shown_command_has_only_options_that_exist(shown: str) -> None:
    name = "mergeguard " + shown.split(maxsplit=1)[0]
    if getattr(COMMANDS[name], "commands", None):
        name += " " + shown.split()[1]
    known = {option for parameter in COMMANDS[name].params for option in (*parameter.opts, *parameter.secondary_opts)}

    assert [word for word in re.findall(r"(?<!\S)--[\w-]+", shown.partition("  #")[0]) if word not in known] == []


def test_the_event_to_begin_with_is_shown_as_it_is_printed() -> None:
    shown = text("how-to/nse.md").split("```toml\n")[1].partition("```")[0]
    assert tomllib.loads(shown) == tomllib.loads(EXAMPLE)
