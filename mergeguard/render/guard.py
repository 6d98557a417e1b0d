"""The guard, for people: how it stands, what was sent, what it refused."""

from __future__ import annotations

from mergeguard.integrity.guard import GuardChange, GuardStatus
from mergeguard.integrity.guard_proof import GuardProof

_SPELLINGS = {
    "plain": "guids are compared as they are stored",
    "usual": "guids are texts: eight spellings of each are looked for",
    "any": "guids are texts in unusual spellings: each check reads the whole table",
}


def status_text(status: GuardStatus) -> str:
    """Say how a guard stands."""
    if status.ok:
        lines = [f"the guard of {status.table} stands: version {status.version}, {_SPELLINGS[status.spelling]}"]
    else:
        lines = [f"the guard of {status.table} does not guard it:"]
        lines += [f"  {problem}" for problem in status.problems]
        lines.append("'mergeguard guard install' mends it")
    lines += [f"constraint: {one}" for one in status.constraints]
    return _text([*lines, *(f"note: {note}" for note in status.notes)])


def script_text(change: GuardChange) -> str:
    """Write the statements as a script; SQL Server takes each as a batch of its own."""
    end = "\nGO\n" if change.kind == "mssql" else ";\n\n"
    return "".join(f"{statement}{end}" for statement in change.statements)


def installed_text(change: GuardChange) -> str:
    """Say what an install did."""
    lines = [
        f"the guard of {change.table} is installed"
        if change.needed
        else f"the guard of {change.table} stood already, as this version makes it"
    ]
    return _text([*lines, *(f"note: {note}" for note in change.notes)])


def removed_text(change: GuardChange) -> str:
    """Say what a removal did."""
    return _text([f"the guard of {change.table} is removed" if change.needed else f"{change.table} had no guard"])


def proof_text(proof: GuardProof) -> str:
    """Say what was tried and what came of it."""
    lines = []
    for attempt in proof.attempts:
        said = f": {attempt.said}" if attempt.said else ""
        lines.append(f"{attempt.outcome:<12} {attempt.what}{said}")
    lines.append(
        f"{proof.table} is guarded; everything was taken back"
        if proof.holds
        else f"{proof.table} is not guarded against all of this; everything was taken back"
    )
    return _text(lines)


def _text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
