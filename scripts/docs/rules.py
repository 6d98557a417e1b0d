"""The pages of the rules: what the rule's own file says, what to do, and a small table on which it finds something."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import mergeguard
from mergeguard.core.findings import ScanReport
from mergeguard.core.rule import Need, Rule
from mergeguard.core.rules import RULES
from mergeguard.integrity.scan import ScanOptions
from mergeguard.render import render_scan
from mergeguard.render.catalogue import rule_story

NEEDS = {
    Need.LIVENESS: ("the live guids", "declare `[live]` in the profile, or give `--live`"),
    Need.TYPES: ("the types of guids", "declare `[types]` in the profile, or give `--types`"),
    Need.REFERENCES: ("declared reference columns", "declare `[[references]]` in the profile, or give `--reference`"),
    Need.LOOKUP: ("a stored lookup", "run `mergeguard lookup build`"),
    Need.TIME: ("the time of each merge", "name `merge.time` in the profile, or give `--time-column`"),
}
NO_NEEDS = "nothing but the rows"


@dataclass(frozen=True)
class Example:
    """Rows of merges, and other tables by name; the first line of each names its columns."""

    rows: str
    ids: str = "text"
    tables: dict[str, str] = field(default_factory=dict)
    flags: dict[str, object] = field(default_factory=dict)


EXAMPLES = {
    "MG001": Example("old new|PC-A PC-B|PC-B PC-C|PC-C PC-A|PC-D PC-A"),
    "MG002": Example("old new|PC-A PC-A"),
    "MG003": Example("old new|PC-A PC-B|PC-A PC-C"),
    "MG004": Example("old new|PC-A PC-B|PC-C PC-B", tables={"live.tsv": "name|PC-X"}, flags={"live": "live.tsv:name"}),
    "MG005": Example("old new|PC-A PC-B", tables={"live.tsv": "name|PC-A|PC-B"}, flags={"live": "live.tsv:name"}),
    "MG006": Example(
        "old new|PC-A USER-1",
        tables={"types.tsv": "name type|PC-A computer|USER-1 user"},
        flags={"types": "types.tsv:name:type"},
    ),
    "MG007": Example("old new|3f2504e0-4f89-41d3-9a0c-0305e82c3301 PC-B", ids="guid"),
    "MG008": Example("old new|3f2504e0-4f89-41d3-9a0c-0305e82c3301 00000000-0000-0000-0000-000000000000", ids="guid"),
    "MG009": Example(
        "old new|PC-A PC-B|PC-B PC-C",
        tables={"lookup.tsv": "old_guid current_guid depth status|PC-A PC-B 1 ok"},
        flags={"lookup_table": "lookup.tsv"},
    ),
    "MG010": Example(
        "old new|PC-A PC-B",
        tables={"software.tsv": "computer program|PC-A editor|PC-A browser|PC-B editor"},
        flags={"references": ("software.tsv:computer",)},
    ),
    "MG011": Example(
        "old new merged|PC-A PC-B 2026-03-01|PC-B PC-A 2026-03-08",
        flags={"time": "merged"},
    ),
    "MG012": Example("old new|PC-A PC-B|PC-B PC-A|PC-C PC-A|PC-D PC-C"),
    "MG013": Example("old new|PC-A PC-B|PC-B PC-C|PC-C PC-D"),
    "MG014": Example("old new|PC-A PC-B|PC-A PC-B"),
}


def pages(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield the page of every rule."""
    for rule in RULES:
        yield folder / f"{rule.id}.md", page(rule)


def page(rule: Rule) -> str:
    """Write the page of one rule."""
    about = [
        f"| severity | {rule.severity.value} |",
        f"| needs | {_needs(rule)} |",
        f"| alone | `mergeguard scan TARGET --only {rule.id}` |",
    ]
    needs = [
        f"The rule says *not checked* unless it has {NEEDS[need][0]}: {NEEDS[need][1]}." for need in _ordered(rule)
    ]
    parts = [
        f"# {rule.id} {rule.name}: {_small(rule.title)}",
        "\n".join(["| | |", "|---|---|", *about]),
        rule_story(rule).replace("``", "`"),
        *needs,
        f"## What to do\n\n{rule.fix[0].upper()}{rule.fix[1:]}.",
        f"## An example\n\n{_shown(EXAMPLES[rule.id], rule)}",
        "[All rules](../rules.md)",
    ]
    return "<!-- written by scripts/docs.py -->\n" + "\n\n".join(parts) + "\n"


def listed() -> list[tuple[str, str, str, str, str]]:
    """Return the rows of the table of rules."""
    return [
        (f"[{rule.id}](rules/{rule.id}.md)", f"`{rule.name}`", rule.severity.value, rule.title, _needs(rule))
        for rule in RULES
    ]


def _small(title: str) -> str:
    return title[0].lower() + title[1:]


def _ordered(rule: Rule) -> list[Need]:
    return [need for need in Need if need in rule.needs]


def _needs(rule: Rule) -> str:
    return ", ".join(NEEDS[need][0] for need in _ordered(rule)) or NO_NEEDS


def _shown(example: Example, rule: Rule) -> str:
    tables = {"merges.tsv": example.rows, **example.tables}
    spelt = "\n\n".join(f"`{name}`\n\n```text\n{_aligned(rows)}\n```" for name, rows in tables.items())
    text = render_scan(scanned(example, rule), "table", colour=False, width=100)
    start = text.index(f"{rule.id} {rule.name}: ")
    found = text[start:].split("\n\n")[0].rstrip()
    return f"{spelt}\n\nThe scan says:\n\n```text\n{found}\n```"


def scanned(example: Example, rule: Rule) -> ScanReport:
    """Scan the tables of an example with one rule."""
    with tempfile.TemporaryDirectory(prefix="mergeguard-docs-") as folder:
        for name, rows in {"merges.tsv": example.rows, **example.tables}.items():
            text = "".join("\t".join(row.split(" ")) + "\n" for row in rows.split("|"))
            (Path(folder) / name).write_text(text, "utf-8")
        flags = {"old": "old", "new": "new", "ids": example.ids, **example.flags}
        overrides = mergeguard.Overrides(**flags)  # type: ignore[arg-type]
        target = str(Path(folder) / "merges.tsv")
        profile = mergeguard.choose_profile(target, None, overrides)
        return mergeguard.scan(target, profile, scan_options=ScanOptions(only=(rule.id,)))


def _aligned(rows: str) -> str:
    cells = [row.split(" ") for row in rows.split("|")]
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells)
