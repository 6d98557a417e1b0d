"""The blocks by name; each makes Markdown of the words behind its name."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Sequence

from docs import api, rules
from docs.session import CHECKOUT, Session
from mergeguard import errors
from mergeguard.cli.exit_codes import CODES, OUTPUT
from mergeguard.errors import ExitCode
from mergeguard.processor.metrics import METRICS as SERVER_METRICS
from mergeguard.processor.settings import ENTRIES
from mergeguard.processor.settings_entry import MOST
from mergeguard.render.prometheus import METRICS


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def run(words: str, shell: Session) -> str:
    """Show a command and its output: ``run [lines=1-20] [exit=1] COMMAND``.

    A command must end with the exit code that the page expects, 0 if it names none.
    """
    wanted, command = _options(words)
    answer = shell.run(command)
    if answer.code != int(wanted.get("exit", "0")):
        raise SystemExit(f"`{command}` ended with exit code {answer.code}:\n{answer.text}")
    lines = answer.text.splitlines()
    first, last = (int(number) for number in wanted.get("lines", f"1-{len(lines)}").split("-"))
    shown = [*(["..."] if first > 1 else []), *lines[first - 1 : last], *(["..."] if last < len(lines) else [])]
    ending = ["$ echo $?", str(answer.code)] if answer.code else []
    return "\n".join(["```console", f"$ {command}", *shown, *ending, "```"])


def json_of(words: str, shell: Session) -> str:
    """Show what a command answers as JSON, made short: lists longer than two items keep their first."""
    wanted, command = _options(words)
    answer = shell.run(command)
    if answer.code != int(wanted.get("exit", "0")):
        raise SystemExit(f"`{command}` ended with exit code {answer.code}:\n{answer.text}")
    return "\n".join(["```json", json.dumps(_short(json.loads(answer.text)), indent=2), "```"])


def _short(value: object) -> object:
    if isinstance(value, dict):
        return {name: _short(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_short(item) for item in (value[:1] if len(value) > 5 else value)]
    return value


def _options(words: str) -> tuple[dict[str, str], str]:
    options, rest = {}, words
    while (first := rest.split(" ", 1)[0]).startswith(("lines=", "exit=")):
        name, _, value = first.partition("=")
        options[name] = value
        rest = rest.split(" ", 1)[1]
    return options, rest


def help_page(words: str, shell: Session) -> str:
    """Show the help of a command, without the exit status that all of them share."""
    command = " ".join(["mergeguard", *shlex.split(words), "--help"])
    text, _, _ = shell.run(command).text.partition("\nExit status:\n")
    return f"```text\n{text.rstrip()}\n```"


def exit_codes(_words: str, _shell: Session) -> str:
    """List the exit codes."""
    return table(("code", "name", "meaning"), [(str(int(code)), f"`{code.name}`", code.meaning) for code in ExitCode])


def command_exit_codes(_words: str, _shell: Session) -> str:
    """List what each command can end with; a code that means what it always does stands without words."""
    always = set.intersection(*[set(codes.items()) for codes in CODES.values()])
    rows = []
    for name, codes in CODES.items():
        own = {code: words for code, words in codes.items() if (code, words) not in always}
        first = [own.pop(code, "") for code in (ExitCode.CLEAN, ExitCode.FINDINGS)]
        others = [
            str(int(code)) + ("" if words in {code.meaning, OUTPUT} else f": {words}") for code, words in own.items()
        ]
        rows.append((f"`{name}`", *first, "<br>".join(others)))
    return table(("command", "0", "1", "others"), rows)


def error_classes(_words: str, _shell: Session) -> str:
    """List every error class: those that are raised, below the class that they are a kind of."""
    rows = []
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.MergeGuardError) and kind is not errors.MergeGuardError:
            parent = kind.__base__.__name__ if kind.__base__ else ""
            code, again = str(int(kind.exit_code)), "yes" if kind.retryable else "no"
            # The first paragraph: the rest of a docstring is for programmers.
            when = (kind.__doc__ or "").strip().partition("\n\n")[0]
            hint = kind.default_hint or "as the case is"
            rows.append((f"`{kind.__name__}`", f"`{parent}`", code, again, when, hint))
    return table(("id", "kind of", "exit code", "retryable", "when", "hint"), rows)


def metrics(_words: str, _shell: Session) -> str:
    """List the metrics."""
    rows = [
        (f"`{each.name}`", ", ".join(f"`{label}`" for label in ("target", *each.labels)), each.help) for each in METRICS
    ]
    return table(("metric", "labels", "meaning"), rows)


def queue_metrics(_words: str, _shell: Session) -> str:
    """List the metrics of the event queue."""
    rows = [
        (f"`{one.name}`", one.type, ", ".join(f"`{label}`" for label in one.labels), one.help) for one in SERVER_METRICS
    ]
    return table(("metric", "type", "labels", "meaning"), rows)


def core_settings(_words: str, _shell: Session) -> str:
    """List the settings of the event processor."""
    rows = []
    for one in ENTRIES:
        limits = (
            " or ".join(f"`{choice}`" for choice in one.choices)
            if one.kind in {"path", "text"}
            else f"{one.at_least:.15g}" + (f" to {one.at_most:.15g}" if one.at_most != MOST else " or more")
        )
        default = "not set" if one.default is None else f"`{one.default}`"
        rows.append((f"`{one.names[1]}`", f"`{one.name}`", default, one.unit, limits, one.source, one.doc))
    return table(("in CoreSettings.config", "in TOML", "default", "unit", "limits", "source", "meaning"), rows)


def rule_table(_words: str, _shell: Session) -> str:
    """List the rules with links to their pages."""
    return table(("rule", "name", "severity", "finds", "needs"), rules.listed())


def schema_fields(words: str, _shell: Session) -> str:
    """List the fields of an object of a JSON schema: ``schema FILE [DEFINITION]``."""
    name, _, definition = words.partition(" ")
    schema = json.loads((CHECKOUT / "mergeguard" / "schemas" / f"{name}.json").read_text("utf-8"))
    holder = schema["$defs"][definition] if definition else schema
    rows = [(f"`{field}`", _type(about), _described(about, schema)) for field, about in holder["properties"].items()]
    return table(("field", "type", "meaning"), rows)


def _type(about: dict[str, object]) -> str:
    if "$ref" in about:
        return str(about["$ref"]).rpartition("/")[2]
    if "const" in about:
        return f"`{json.dumps(about['const'])}`"
    if "enum" in about:
        return ", ".join(f"`{value}`" for value in about["enum"])  # type: ignore[attr-defined]
    if "anyOf" in about:
        return " or ".join(_type(each) for each in about["anyOf"])  # type: ignore[attr-defined]
    kind = about.get("type", "any")
    text = " or ".join(kind) if isinstance(kind, list) else str(kind)
    items = about.get("items")
    return f"list of {_type(items)}" if isinstance(items, dict) else text


def _described(about: dict[str, object], schema: dict[str, dict[str, dict[str, object]]]) -> str:
    if "description" in about:
        return str(about["description"])
    if "$ref" in about:
        return str(schema["$defs"][str(about["$ref"]).rpartition("/")[2]].get("description", ""))
    return ""


BLOCKS: dict[str, Callable[[str, Session], str]] = {
    "run": run,
    "json": json_of,
    "help": help_page,
    "exit-codes": exit_codes,
    "command-exit-codes": command_exit_codes,
    "errors": error_classes,
    "metrics": metrics,
    "queue-metrics": queue_metrics,
    "core-settings": core_settings,
    "rules": rule_table,
    "schema": schema_fields,
    "api": api.reference,
}
