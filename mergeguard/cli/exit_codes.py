"""Which exit codes each command can end with, and what they mean there: the end of its help page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from mergeguard.errors import ExitCode

Codes: TypeAlias = Mapping[ExitCode, str]
"""What each code means, the smallest first."""

_ALWAYS: Final = (ExitCode.USAGE, ExitCode.BUG, ExitCode.INTERRUPTED, ExitCode.TERMINATED)
OUTPUT: Final = "an output could not be written, to a full disk for one"
"""6, of a command that writes nothing else."""
_CHANGED: Final = "refused: rows are not as they were shown, or the journal was altered; nothing was changed"


def _codes(
    done: str,
    *,
    findings: str | None = None,
    unchecked: str | None = ExitCode.UNCHECKED.meaning,
    incomplete: str | None = None,
    refused: str | None = None,
    failed: str = OUTPUT,
) -> Codes:
    said = {
        ExitCode.CLEAN: done,
        ExitCode.FINDINGS: findings,
        **{code: code.meaning for code in _ALWAYS},
        ExitCode.UNCHECKED: unchecked,
        ExitCode.INCOMPLETE: incomplete,
        ExitCode.PLAN_REFUSED: refused,
        ExitCode.ROLLED_BACK: failed,
    }
    return {code: said[code] or "" for code in sorted(said) if said[code] is not None}


_CLEAN: Final = "checked completely, nothing at or above --fail-on"
_FINDINGS: Final = "findings at or above --fail-on"
_PERSON: Final = "a person must decide some of it"
_SAID: Final = "listed, whether there is anything or not"
_LISTED: Final = _codes(_SAID)
_JOURNAL: Final = "the journal was altered, or part of it is missing"
CODES: Final[Mapping[str, Codes]] = {
    "scan": _codes(_CLEAN, findings=_FINDINGS, incomplete=ExitCode.INCOMPLETE.meaning),
    "nightly": _codes(
        _CLEAN,
        findings=_FINDINGS,
        incomplete=ExitCode.INCOMPLETE.meaning,
        refused="a repair was refused before it changed anything",
        failed="a repair was rolled back, or a file could not be written",
    ),
    "explain": _codes("explained"),
    "resolve": _codes("every guid has a current one", findings="a guid has no current guid to act on"),
    "plan": _codes("the plan is written, or there is nothing to do", findings=f"the plan is written; {_PERSON}"),
    "show": _codes(
        "shown",
        unchecked="the answer may not be written where it should go",
        refused="the plan was edited, was cut short, or is of a newer version",
    ),
    "apply": _codes(
        "applied, or nothing was left to do",
        refused="refused: the plan was edited, has expired, is stale or is for another database; or the journal was "
        "altered",
        failed="a check failed and the component was rolled back; or damage was found again at the end",
    ),
    "repair": _codes(
        "repaired, or there was nothing to do",
        findings=f"the rest is repaired; {_PERSON}",
        refused="refused: rows changed meanwhile, or the journal was altered",
        failed="a check failed and the component was rolled back; or damage was found again at the end",
    ),
    "undo": _codes("taken back", refused=_CHANGED, failed=ExitCode.ROLLED_BACK.meaning),
    "merge": _codes(
        "merged, or the two were one already",
        refused="the merge must not be made, the message says why; nothing was changed",
        failed=ExitCode.ROLLED_BACK.meaning,
    ),
    "unmerge": _codes("taken back", refused=_CHANGED, failed=ExitCode.ROLLED_BACK.meaning),
    "journal": _codes(_SAID, refused=_JOURNAL),
    "merges": _codes(_SAID, refused=_JOURNAL),
    "keys": _LISTED,
    "duplicates": _codes(
        "listed, or all of them are merged",
        refused="a merge was refused or could not be made; the others are made",
        failed=ExitCode.ROLLED_BACK.meaning,
    ),
    "guard install": _codes(
        "the guard stands",
        refused="rows violate what --constraints asks for; nothing was changed",
        failed=ExitCode.ROLLED_BACK.meaning,
    ),
    "guard status": _codes("the guard stands, enabled and unaltered", findings="it does not"),
    "guard prove": _codes(
        "every cycle was refused", findings="a cycle was let through", failed=ExitCode.ROLLED_BACK.meaning
    ),
    "guard remove": _codes("the guard is gone", failed=ExitCode.ROLLED_BACK.meaning),
    "sql show": _codes("shown"),
    "sql install": _codes("installed", failed=ExitCode.ROLLED_BACK.meaning),
    "sql uninstall": _codes("removed", failed=ExitCode.ROLLED_BACK.meaning),
    "serve": _codes(
        "ended as it was asked to, by SIGTERM or Ctrl-C",
        unchecked="the database or a folder refuses this server, or another one has the folder",
        incomplete="some events were still running when the time to stop was over; others take them over",
        failed=ExitCode.ROLLED_BACK.meaning,
    ),
    "post": _codes("all events are safe at the server", unchecked="the server was away or busy to the end"),
    "nse make": _codes("made", unchecked="the event may not be written where it should go"),
    "nse check": _codes(
        "all are good", findings="an event is refused", unchecked="a file or the catalogue cannot be read"
    ),
    "queue status": _codes("looked at"),
    "queue list": _LISTED,
    "queue show": _codes("shown"),
    "queue parked": _LISTED,
    "queue wake": _codes("done, whether there was anything to wake or not", failed=ExitCode.ROLLED_BACK.meaning),
    "queue sources": _LISTED,
    "queue retry": _codes("it waits again", failed=ExitCode.ROLLED_BACK.meaning),
    "queue drop": _codes("it is gone", failed=ExitCode.ROLLED_BACK.meaning),
    "queue export": _codes(
        "all are written", findings="some could not be written and are left", failed=ExitCode.ROLLED_BACK.meaning
    ),
    "queue doctor": _codes(
        "all is well", findings="there is something to act on", unchecked="something could not be looked at"
    ),
    "catalogue list": _LISTED,
    "catalogue show": _codes("shown"),
    "catalogue add": _codes("added, or it was there already", failed=ExitCode.ROLLED_BACK.meaning),
    "lookup build": _codes("the lookup stands", failed=ExitCode.ROLLED_BACK.meaning),
    "lookup verify": _codes("the lookup says what the rows say", findings="it differs, or there is none"),
    "lookup export": _codes("written"),
    "history": _codes("shown", unchecked="there is no history, or it cannot be read"),
    "discover": _codes("a profile is proposed", findings="no table of merges was found"),
    "doctor": _codes("nothing would stop a scan", unchecked="something would stop a scan"),
    "config show": _codes("shown", unchecked=None),
    "config queue": _codes("shown", unchecked=None),
    "demo": _codes("made", unchecked="the folder cannot be used", failed=ExitCode.ROLLED_BACK.meaning),
}
"""By the words that call a command."""


def of(command: str) -> Codes:
    """Return the exit codes of a command, or of all commands of a group in general words; ``""`` has all there are."""
    if command in CODES:
        return CODES[command]
    below = [codes for name, codes in CODES.items() if name.startswith(f"{command} ".lstrip())]
    return {code: code.meaning for code in ExitCode if any(code in codes for codes in below)}


def called(arguments: Sequence[str]) -> str | None:
    """Return the words that call a command, where a command line begins with them."""
    names = (" ".join(arguments[:2]), *arguments[:1])
    return next((name for name in names if name in CODES), None)
