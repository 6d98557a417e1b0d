"""The question before a change: what is typed, what is not, and that whatever follows begins a line of its own."""

from __future__ import annotations

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.cli.consent import consent
from mergeguard.errors import UsageError

NAME = "site.db"


class Keyboard(io.StringIO):
    """A terminal on which something is typed, or Ctrl-C."""

    def __init__(self, typed: str, *, interrupt: bool = False) -> None:
        super().__init__(typed)
        self._interrupt = interrupt

    def isatty(self) -> bool:
        return True

    def readline(self, size: int | None = -1, /) -> str:
        if self._interrupt:
            raise KeyboardInterrupt
        return super().readline(-1 if size is None else size)


def asked(keyboard: io.StringIO, *, yes: bool = False, unsure: str | None = None) -> tuple[bool, str]:
    """Return whether the answer was yes, and what stood on stderr."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", keyboard)
        patch.setattr(sys, "stderr", io.StringIO())
        try:
            consent(NAME, "It will change.", yes=yes, unsure=unsure)
        except UsageError as error:
            return not error.hint, sys.stderr.getvalue()
        return True, sys.stderr.getvalue()


@given(
    typed=st.sampled_from([NAME, NAME.upper(), f" {NAME}", "yes", ""]) | st.text(max_size=9),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_only_the_exact_name_is_a_yes(typed: str, end: str) -> None:
    first = io.StringIO(typed + end).readline().strip("\r\n")
    agreed, said = asked(Keyboard(typed + end))
    assert agreed == (first == NAME)
    assert said.endswith("to go on: ")


def test_the_end_of_the_input_is_a_no_on_a_line_of_its_own() -> None:
    assert asked(Keyboard("")) == (False, f"It will change.\nType the name of the database, {NAME}, to go on: \n")


def test_ctrl_c_goes_on_and_ends_the_line() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", said := io.StringIO())
        patch.setattr(sys, "stdin", Keyboard("", interrupt=True))
        with pytest.raises(KeyboardInterrupt):
            consent(NAME, "It will change.", yes=False)
    assert said.getvalue().endswith("to go on: \n")


def test_nobody_at_the_terminal_is_asked_nothing() -> None:
    assert asked(io.StringIO(f"{NAME}\n")) == (False, "")


@pytest.mark.parametrize(("unsure", "agreed"), [(None, True), ("it is arbitrary", False)])
def test_yes_answers_only_what_is_sure(unsure: str | None, agreed: bool) -> None:
    assert asked(Keyboard(f"{NAME}\n"), yes=True, unsure=unsure) == (agreed, "")
