"""The baseline file: accepted findings as TOML, read with every mistake named, written for a person to edit."""

from __future__ import annotations

import datetime as dt
import difflib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from mergeguard.core.baseline import Accepted, Baseline
from mergeguard.core.findings import Finding, Outcome, ScanReport
from mergeguard.errors import UsageError

KEYS = ("fingerprint", "rule", "reason", "until", "by")
_EMPTY = Baseline()
_HEADER = """\
# Findings that MergeGuard no longer counts. Give each its reason; until = 2030-12-31 makes one expire after that day.
# An entry without a fingerprint accepts its whole rule, which rules of severity error do not allow.
"""


def load(path: Path) -> Baseline:
    """Read a baseline file.

    Raises:
        UsageError: the file is missing, unreadable, not UTF-8, not TOML, or says something that makes no sense.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"baseline {path} does not exist", hint="scan with --write-baseline to draft one") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"baseline {path} cannot be read: {reason}", hint="check the path, and that this account may read it"
        ) from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UsageError(f"baseline {path} is not UTF-8 text (line {line})", hint="save it as UTF-8") from None
    return loads(text, str(path))


def loads(text: str, origin: str) -> Baseline:
    """Read a baseline from TOML text; ``origin`` is the file name that messages give.

    Raises:
        UsageError: with the line of a syntax error, or the entry and key of anything else.
    """
    try:
        document = tomllib.loads(text)
    except ValueError as error:
        raise UsageError(f"{origin} is not valid TOML: {error}", hint='texts stand in quotes: key = "value"') from None
    except RecursionError:
        raise UsageError(f"{origin} is nested too deeply to be a baseline") from None
    return _Reader(origin).baseline(document)


def dumps(baseline: Baseline) -> str:
    """Write a baseline as TOML text that ``loads`` reads back as the same entries."""
    return "\n".join([_HEADER, *map(_entry, baseline.accepted)])


def draft(report: ScanReport, known: Baseline = _EMPTY) -> str:
    """Write the baseline that would accept every finding of a report; the entries of ``known`` are kept.

    What a person has to fill in is the reason of each entry. Findings that were only counted have no fingerprint and
    cannot be accepted; a comment says how many.
    """
    there = {(entry.rule, entry.fingerprint) for entry in known.accepted}
    parts = [dumps(known)]
    for outcome in sorted(report.outcomes, key=lambda outcome: (-outcome.severity.rank, outcome.rule)):
        unique = {finding.fingerprint: finding for finding in outcome.findings}
        parts += [
            _drafted(finding, report.finished.date())
            for finding in unique.values()
            if (finding.rule, finding.fingerprint) not in there
        ]
        parts += _unnamed(outcome)
    return "\n".join(parts)


def _drafted(finding: Finding, day: dt.date) -> str:
    entry = Accepted(finding.rule, f"as found on {day.isoformat()}", finding.fingerprint)
    return _comment(f"{finding.severity.value}: {finding.message}") + _entry(entry)


def _unnamed(outcome: Outcome) -> list[str]:
    more = outcome.count - len(outcome.findings)
    if more <= 0:
        return []
    return [_comment(f"{outcome.rule}: {more:,} more findings were only counted; --max-findings keeps more of them")]


def _entry(entry: Accepted) -> str:
    lines = ["[[accepted]]"]
    if entry.fingerprint is not None:
        lines.append(f"fingerprint = {_quoted(entry.fingerprint)}")
    lines += [f"rule = {_quoted(entry.rule)}", f"reason = {_quoted(entry.reason)}"]
    if entry.until is not None:
        lines.append(f"until = {entry.until.isoformat()}")
    if entry.by is not None:
        lines.append(f"by = {_quoted(entry.by)}")
    return "\n".join(lines) + "\n"


def _comment(text: str) -> str:
    line = "".join(character if character.isprintable() else " " for character in text)
    return f"# {line}\n"


def _quoted(text: str) -> str:
    # A JSON string is a TOML basic string but for DEL, which TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


class _Reader:
    """Checks a parsed document entry by entry; every refusal says file, entry and key."""

    def __init__(self, origin: str) -> None:
        self.origin = origin

    def baseline(self, document: Mapping[str, Any]) -> Baseline:
        """Read the whole document.

        Raises:
            UsageError: the entry and the key that are wrong.
        """
        self._known(document, ("accepted",), "the top level")
        entries = document.get("accepted", [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            self._refuse("accepted must be a list of tables", "write each entry under a line [[accepted]] of its own")
        accepted = tuple(self._accepted(entry, f"entry {number}") for number, entry in enumerate(entries, 1))
        seen: set[tuple[str, str | None]] = set()
        for number, entry in enumerate(accepted, 1):
            key = (entry.rule, entry.fingerprint)
            if key in seen:
                self._refuse(f"entry {number} repeats an entry before it", "keep one of the two")
            seen.add(key)
        return Baseline(accepted, self.origin)

    def _accepted(self, entry: Mapping[str, Any], where: str) -> Accepted:
        self._known(entry, KEYS, where)
        for key in ("rule", "reason"):
            if key not in entry:
                self._refuse(f"{where} lacks {key!r}", 'for example reason = "vendor ticket 4711, harmless"')
        until = entry.get("until")
        if until is not None and type(until) is not dt.date:
            self._refuse(f"{where} until must be a date", "without quotes: until = 2030-12-31")
        texts = {key: self._text(entry[key], f"{where} {key}") for key in KEYS if key in entry and key != "until"}
        return Accepted(until=until, **texts)

    def _text(self, value: object, where: str) -> str:
        if not isinstance(value, str):
            self._refuse(f"{where} must be text", 'texts stand in quotes: "..."')
        if not value.strip():
            self._refuse(f"{where} is empty", "say it in a few words, or leave an optional line out")
        return value

    def _known(self, table: Mapping[str, Any], keys: tuple[str, ...], where: str) -> None:
        for key in table:
            if key not in keys:
                near = difflib.get_close_matches(key.lower(), keys, n=1, cutoff=0.0)[0]
                self._refuse(f"unknown key {key!r} in {where}", f"did you mean {near!r}? It knows {', '.join(keys)}")

    def _refuse(self, message: str, hint: str) -> NoReturn:
        raise UsageError(f"{self.origin}: {message}", hint=hint)
