"""Draws a schedule as lanes: one a session, a line a step, waits for locks, values read, and the stale read marked."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Final

from mergeguard.testing.history import History, Outcome, Step
from mergeguard.testing.stale import StaleRead, is_read

WIDTH: Final = 150
LEAST: Final = 28
LINES: Final = 4
"""Lines of one step at most; the rest of a long statement is left out."""
STALE: Final = "* "


class Timeline:
    """A schedule for people.

    Args:
        history: what happened.
        spelled: short names of values, by their texts in lower case.
        stale: reads to be marked.
        bad: after which step a check failed, and which.
        width: characters of a line.
    """

    def __init__(
        self,
        history: History,
        spelled: Mapping[str, str],
        stale: Sequence[StaleRead] = (),
        bad: tuple[Step, str] | None = None,
        width: int = WIDTH,
    ) -> None:
        self._history = history
        self._spelled = spelled
        self._stale = {one.read.number for one in stale}
        self._bad = bad
        self._lane = max(LEAST, (width - 5) // max(1, len(history.names)) - 3)

    def text(self) -> str:
        """Return all lines."""
        names = self._history.names
        lines = [self._line("", list(names)), self._line("", ["-" * min(len(name), self._lane) for name in names])]
        for step in self._history.steps:
            lines += self._lines(step)
        ends = [f"{name}: {_ended(outcome)}" for name, outcome in zip(names, self._history.outcomes, strict=False)]
        return "\n".join([*(line.rstrip() for line in lines), *ends])

    def told(self, step: Step) -> str:
        """Spell what a step read."""
        rows = [", ".join(map(self.spell, row)) if isinstance(row, tuple) else self.spell(row) for row in step.read]
        return "; ".join(rows) or "nothing"

    def spell(self, value: object) -> str:
        """Spell one value shortly."""
        text = str(value)
        found = self._spelled.get(text.lower())
        if found is not None:
            return found if text == text.lower() else f"{found} in capitals"
        if isinstance(value, (list, tuple)):
            return "(" + ", ".join(map(self.spell, value)) + ")"
        return textwrap.shorten(self._lettered(text), 40, placeholder="...")

    def statement(self, step: Step) -> str:
        """Spell a statement with its values in place."""
        text = " ".join(step.sql.split())
        values = list(step.values)
        for value in values:
            if isinstance(value, tuple) and len(value) == 2 and f"%({value[0]})s" in text:
                text = text.replace(f"%({value[0]})s", self.spell(value[1]))
            elif "%s" in text:
                text = text.replace("%s", self.spell(value), 1)
            elif "?" in text:
                text = text.replace("?", self.spell(value), 1)
        return self._lettered(text)

    def _lettered(self, text: str) -> str:
        for long, short in self._spelled.items():
            text = text.replace(f"'{long}'", short).replace(long, short)
        return text

    def _lines(self, step: Step) -> list[str]:
        cell = textwrap.wrap(self._words(step), self._lane, max_lines=LINES, placeholder=" ...") or [""]
        cell += textwrap.wrap("   " + self._effect(step), self._lane, subsequent_indent="   ", max_lines=2)
        lines = []
        for at, part in enumerate(cell):
            lane = [self._beside(step, actor) for actor in range(len(self._history.names))]
            lane[step.actor] = part
            lines.append(self._line(str(step.number) if at == 0 else "", lane))
        if self._bad is not None and self._bad[0] is step:
            lines[-1] = f"{lines[-1].rstrip()}   <== {self._bad[1]}"
        return lines

    def _words(self, step: Step) -> str:
        mark = STALE if step.number in self._stale else ""
        waits = ""
        if step.waited_until is not None:
            names = " and ".join(self._history.names[actor] for actor in step.waited_for)
            waits = f" ... waits for {names or 'a lock'}, goes on after step {step.waited_until}"
        return f"{mark}{self.statement(step)}{waits}"

    def _effect(self, step: Step) -> str:
        """Return what came of a step: values read, an error, a fault."""
        if step.fault is not None:
            return f"X {step.fault.value}" + (f": {step.error}" if step.error else "")
        if step.error is not None:
            return f"=> {step.error}"
        return f"= {self.told(step)}" if is_read(step) or step.read else ""

    def _beside(self, step: Step, actor: int) -> str:
        """Draw the lane of another session: a wait or nothing."""
        for one in self._history.steps:
            if one.actor == actor and one.waited_until is not None and one.number < step.number <= one.waited_until:
                return ":"
        return ""

    def _line(self, number: str, cells: Sequence[str]) -> str:
        return f"{number:>3} " + " | ".join(cell[: self._lane].ljust(self._lane) for cell in cells)


def _ended(outcome: Outcome) -> str:
    if outcome.crashed:
        return "stopped" if outcome.error is None else f"stopped by {outcome.error}"
    if outcome.error is None:
        return "done" if outcome.value is None else f"done: {outcome.value}"[:120]
    name = type(outcome.error).__name__
    return f"{name}: {(str(outcome.error).splitlines() or [''])[0]}"[:160]
