"""What is taken as it was typed equals what typer makes of it, and pydantic stays out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.core import TyperCommand

from mergeguard.cli import help as pages
from mergeguard.cli import values
from mergeguard.errors import UsageError

WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
# What stands behind a flag may begin with a hyphen; what stands alone may not, or it is a flag.
ALONE = WORDS.filter(lambda text: not text.startswith("-"))
PATHS = st.sampled_from([".", "/", "~", "no/such", "", "a b", "\u00e4"])


def taken(kind: type[TyperCommand], arguments: list[str]) -> Any:
    """Return what a command of ``kind`` is called with."""
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
    seen: dict[str, Any] = {}

    def command(  # noqa: PLR0917 - one of each kind
        target: str,
        more: Annotated[list[str] | None, typer.Argument()] = None,
        name: str | None = None,
        names: Annotated[list[str] | None, typer.Option()] = None,
        file: Annotated[Path | None, typer.Option()] = None,
        files: Annotated[list[Path] | None, typer.Option()] = None,
        number: Annotated[int | None, typer.Option(min=1, max=9)] = None,
        fast: Annotated[bool | None, typer.Option("--fast/--no-fast")] = None,
    ) -> None:
        seen.update(locals())
        del seen["seen"]

    app.command(cls=kind)(command)
    try:
        app(arguments, standalone_mode=False)
    except Exception as error:  # noqa: BLE001 - typer's own classes, which go by other names in other releases
        return type(error).__name__, str(error)
    return seen


@given(
    target=ALONE,
    more=st.lists(ALONE, max_size=2),
    name=st.none() | WORDS,
    names=st.lists(WORDS, max_size=3),
    file=st.none() | PATHS,
    files=st.lists(PATHS, max_size=2),
    number=st.none() | st.integers(1, 9).map(str),
    fast=st.sampled_from([[], ["--fast"], ["--no-fast"]]),
)
def test_values_are_those_that_typer_makes(  # noqa: PLR0917 - one of each kind
    target: str,
    more: list[str],
    name: str | None,
    names: list[str],
    file: str | None,
    files: list[str],
    number: str | None,
    fast: list[str],
) -> None:
    flags = [("--name", name), ("--file", file), ("--number", number)]
    flags += [("--names", one) for one in names] + [("--files", one) for one in files]
    arguments = [f"{flag}={value}" for flag, value in flags if value is not None] + fast + ["--", target, *more]
    assert taken(pages.Command, arguments) == taken(TyperCommand, arguments)


@given(
    number=st.integers() | st.integers(-1, 11) | st.sampled_from([10**9, 10**9 + 1, 10**30]),
    most=st.sampled_from([None, 9]),
)
def test_a_whole_number_is_taken_within_its_limits_and_refused_in_our_words(number: int, most: int | None) -> None:
    told = limited(str(number), most)
    if 1 <= number <= (most or values.MOST):
        assert told == number
    else:
        assert isinstance(told, UsageError)
        assert told.message.startswith("--number cannot be '")
        assert told.hint == f"give a whole number from 1 to {most or values.MOST:,}"


@pytest.mark.parametrize("text", ["", "x", "1.5", "1e3", "0x10", "1_000", "\u0663", "nan", "--1", "9" * 5000])
def test_what_is_no_whole_number_is_refused(text: str) -> None:
    assert isinstance(limited(text, None), UsageError)


def limited(text: str, most: int | None) -> int | UsageError:
    """Return what a flag with limits makes of a text."""
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
    seen: list[int] = []

    def command(number: int = typer.Option(5, min=1, max=most)) -> None:
        seen.append(number)

    app.command(cls=pages.Command)(command)
    try:
        app([f"--number={text}"], standalone_mode=False)
    except UsageError as error:
        return error
    return seen[0]


def test_missing_argument_is_refused_as_by_typer() -> None:
    refused = taken(pages.Command, [])
    assert refused == taken(TyperCommand, [])
    assert refused[0] == "MissingParameter"


def test_what_works_in_another_way_is_left_alone() -> None:
    class Other:
        pass

    other = Other()
    values.take_as_typed([other])
    assert vars(other) == {}


def test_twice_is_as_once() -> None:
    class Known:
        multiple, nargs = False, 1

        class type_descriptor:  # noqa: N801 - as typer has it
            annotation = str

        def get_runtime_param(self) -> Any:
            raise AssertionError

    known = Known()
    values.take_as_typed([known])
    first: Any = known.get_runtime_param
    values.take_as_typed([known])
    assert known.get_runtime_param is first
    assert first().coerce("text", param=known, ctx=None) == "text"


@pytest.mark.parametrize(
    "arguments",
    [["doctor", "no.db", "--config", "no.toml"], ["scan", "no.db", "--only", "MG001", "--output", "x.json"], []],
)
def test_no_command_imports_pydantic(arguments: list[str]) -> None:
    program = """
import sys
from mergeguard.cli import main
try:
    main()
except SystemExit:
    pass
print("pydantic" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "False"
