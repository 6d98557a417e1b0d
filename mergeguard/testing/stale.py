"""Finds the stale read: which read, which write made it stale, and who relied on it still.

While a schedule is played again each plain SELECT of an open transaction is asked once more, on a connection that sees
what is committed, whenever another session commits: where the answer differs from then on, the read is stale.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mergeguard.testing.history import History, Kind, Step

Observe = Callable[[str, Sequence[object]], Sequence[Sequence[object]]]
"""Runs a query on what is committed."""
_READ = re.compile(r"^\s*(SELECT|WITH)\b", re.IGNORECASE)
_NO_READ = re.compile(
    r"\bFOR\s+(NO\s+KEY\s+|KEY\s+)?(UPDATE|SHARE)\b|\b(INSERT|UPDATE|DELETE|INTO|nextval|set_config|pg_advisory\w*)\b",
    re.IGNORECASE,
)
_WORDS = re.compile(r"[A-Za-z_]\w*")
_TABLES = re.compile(r"\b(?:INTO|UPDATE|FROM)\s+\"?([A-Za-z_]\w*)", re.IGNORECASE)


@dataclass(slots=True)
class StaleRead:
    """A read that was not true any more when its session relied on it.

    Attributes:
        read: the step that read.
        write: the step that changed it; ``commit`` made that last.
        relied: the first step after both in which the reader wrote.
    """

    read: Step
    write: Step
    commit: Step
    relied: Step

    def sentence(self, names: Sequence[str], told: Callable[[Step], str]) -> str:
        """Say it; ``told`` spells what a step read."""
        read, relied = (f"step {one.number} ({names[one.actor]})" for one in (self.read, self.relied))
        write = f"step {self.write.number} ({names[self.write.actor]})"
        changed = f"{write} changed that and step {self.commit.number} committed it"
        return f"{read} read {told(self.read)}; {changed}; {relied} still relied on what was read"


@dataclass(slots=True)
class _Open:
    """A read of a transaction that is open."""

    step: Step
    last: list[list[str]]
    stale: tuple[Step, Step] | None = None


@dataclass(slots=True)
class StaleReads:
    """Watches one schedule; ``after`` is to be called after each of its steps."""

    history: History
    observe: Observe
    found: list[StaleRead] = field(default_factory=list)
    _open: dict[int, list[_Open]] = field(default_factory=dict)
    _steps: dict[int, list[Step]] = field(default_factory=dict)

    def after(self, step: Step) -> None:
        """Look at one step."""
        mine = self._steps.setdefault(step.actor, [])
        mine.append(step)
        if step.error is None and is_read(step):
            self._begin(step, mine)
        if step.ended:
            if step.error is None and step.kind is not Kind.ROLLBACK:
                self._committed(step)
            self._steps[step.actor] = []
            self._open[step.actor] = []

    def _begin(self, step: Step, mine: Sequence[Step]) -> None:
        try:
            now = _texts(self.observe(step.sql, step.values))
        except Exception:  # noqa: BLE001 - a query on what only its own session sees cannot be asked elsewhere
            return
        read = _Open(step, now)
        wrote = any(not is_read(one) for one in mine)
        if not wrote and _texts(step.read) != now[: len(step.read)] and (culprit := self._since(mine[0], step)):
            read.stale = culprit
        self._open.setdefault(step.actor, []).append(read)

    def _since(self, first: Step, step: Step) -> tuple[Step, Step] | None:
        """Return the last write of others, and its commit, after the snapshot of a transaction was taken."""
        for one in reversed(self.history.steps[first.number : step.number]):
            if one.actor != step.actor and one.ended and one.error is None and one.kind is not Kind.ROLLBACK:
                return self._write(self._transaction(one), step), one
        return None

    def _transaction(self, commit: Step) -> list[Step]:
        steps: list[Step] = []
        for one in reversed(self.history.steps[: commit.number - 1]):
            if one.actor == commit.actor:
                if one.ended:
                    break
                steps.append(one)
        return [*steps[::-1], commit]

    def _committed(self, commit: Step) -> None:
        """Ask the reads of all others again, then take down who relied on what was stale."""
        for actor, reads in self._open.items():
            if actor == commit.actor:
                continue
            for read in reads:
                now = _texts(self.observe(read.step.sql, read.step.values))
                if now != read.last and read.stale is None:
                    read.stale = self._write(self._steps[commit.actor], read.step), commit
                read.last = now
        for read in self._open.get(commit.actor, ()):
            relied = read.stale and self._relied(read.step, commit)
            if read.stale is not None and relied:
                self.found.append(StaleRead(read.step, *read.stale, relied))

    def _relied(self, read: Step, commit: Step) -> Step | None:
        later = (one for one in self._steps[commit.actor] if one.number > read.number)
        return next((one for one in later if one.kind is Kind.STATEMENT and not is_read(one)), None)

    @staticmethod
    def _write(steps: Sequence[Step], read: Step) -> Step:
        """Return the write that most likely changed what was read: the last one of a table that the query names."""
        writes = [one for one in steps if one.kind is Kind.STATEMENT and not is_read(one)] or list(steps)
        words = {word.lower() for word in _WORDS.findall(read.sql)}
        named = [one for one in writes if words & {name.lower() for name in _TABLES.findall(one.sql)}]
        return (named or writes)[-1]


def is_read(step: Step) -> bool:
    """Say whether a step only read, without locking."""
    return step.kind is Kind.STATEMENT and bool(_READ.match(step.sql)) and not _NO_READ.search(step.sql)


def _texts(rows: Sequence[object]) -> list[list[str]]:
    return sorted([str(cell) for cell in row] if isinstance(row, (tuple, list)) else [str(row)] for row in rows)
