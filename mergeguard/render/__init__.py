"""Reports: one module a format, each a pure function from values to text; only ``output`` touches a file.

Importing this package is cheap: a format's module is loaded when that format is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mergeguard.errors import UsageError

if TYPE_CHECKING:  # the values pull in NumPy, which `mergeguard --help` does without
    from mergeguard.core.findings import Explanation, ScanReport
    from mergeguard.render.resolved import Answer

__all__ = [
    "EXPLANATION_FORMATS",
    "FORMATS",
    "RESOLVED_FORMATS",
    "render_explanation",
    "render_resolved",
    "render_scan",
    "write_output",
]

FORMATS: tuple[str, ...] = (
    "table",
    "json",
    "jsonl",
    "sarif",
    "junit",
    "markdown",
    "html",
    "dot",
    "svg",
    "prometheus",
)
"""What ``render_scan`` can write."""
EXPLANATION_FORMATS: tuple[str, ...] = ("table", "json", "markdown", "svg", "dot")
RESOLVED_FORMATS: tuple[str, ...] = ("table", "json", "jsonl", "csv", "tsv")

_SCAN_MODULES = {
    "json": "report_json",
    "jsonl": "report_jsonl",
    "sarif": "sarif",
    "junit": "junit",
    "markdown": "markdown",
    "html": "page",
    "dot": "dot",
    "svg": "svg",
    "prometheus": "prometheus",
}


def render_scan(report: ScanReport, format: str, *, colour: bool = False, width: int = 100) -> str:  # noqa: A002 - the name users know from --format
    """Write a scan's report in one of ``FORMATS``; the text ends with a newline.

    ``colour`` (ANSI escapes) and ``width`` (columns) matter to the table alone.

    Raises:
        UsageError: the format is unknown.
    """
    _require(format, FORMATS)
    if format == "table":
        return str(_module("table").render_scan(report, colour=colour, width=width))
    return str(_module(_SCAN_MODULES[format]).render_scan(report))


def render_explanation(explanation: Explanation, format: str) -> str:  # noqa: A002 - the name users know from --format
    """Write the story of one guid in one of ``EXPLANATION_FORMATS``; ``table`` is words for a person.

    Raises:
        UsageError: the format is unknown.
    """
    _require(format, EXPLANATION_FORMATS)
    module = "dot" if format == "dot" else "svg" if format == "svg" else "explained"
    if module == "explained":
        return str(_module(module).render_explanation(explanation, format))
    return str(_module(module).render_explanation(explanation))


def render_resolved(rows: Iterable[Answer], format: str) -> str:  # noqa: A002 - the name users know from --format
    """Write answers (asked text, guid, current, depth, status) in one of ``RESOLVED_FORMATS``.

    Raises:
        UsageError: the format is unknown.
    """
    _require(format, RESOLVED_FORMATS)
    return str(_module("resolved").render_resolved(rows, format))


def write_output(text: str, path: Path) -> None:
    """Write a report to a file at once: a reader sees the old file or the new one, never half.

    Raises:
        UsageError: the folder does not exist, or the path names a folder.
        PermissionDenied: the operating system forbids it.
        WriteFailed: anything else, a full disk above all; the old file stands as it was.
    """
    _module("output").write_output(text, path)


def _module(name: str) -> Any:  # noqa: ANN401 - a format's module; each holds the functions called above
    return import_module(f"mergeguard.render.{name}")


def _require(wanted: str, known: tuple[str, ...]) -> None:
    if wanted not in known:
        raise UsageError(f"unknown format {wanted!r}", hint=f"the formats here are {', '.join(known)}")
