"""Asks before a database is changed: the name of the database, typed as it is."""

from __future__ import annotations

import sys

from mergeguard.cli import terminal
from mergeguard.errors import UsageError

UNCHANGED = "nothing was changed"


def consent(database: str, doing: str, *, yes: bool, unsure: str | None = None) -> None:
    """Let a person say that this is the database, and that they mean it.

    Args:
        database: its name, which is to be typed exactly.
        doing: what is about to be done, as a sentence.
        yes: whether ``--yes`` was given, which answers for a person.
        unsure: why ``--yes`` is not enough here.

    Raises:
        UsageError: the name was not typed, or nobody is there to type it.
    """
    if yes and unsure is None:
        return
    if yes:
        raise UsageError(f"--yes is not enough here: {unsure}", hint="run it on a terminal, without --yes")
    if not sys.stdin.isatty():
        hint = "run it on a terminal" + ("" if unsure else ", or answer beforehand with --yes")
        raise UsageError("this asks for the name of the database, and nobody is at a terminal to type it", hint=hint)
    terminal.say(doing)
    sys.stderr.write(f"Type the name of the database, {database}, to go on: ")
    sys.stderr.flush()
    if _typed() != database:
        raise UsageError(f"that is not the name of the database; {UNCHANGED}", hint=f"its name is {database}")


def _typed() -> str:
    """Read a line; what is said next begins a line of its own, whether the question was answered or not."""
    line = ""
    try:
        line = sys.stdin.readline()
    finally:
        if not line:
            terminal.say("")
    return line.strip("\r\n")
