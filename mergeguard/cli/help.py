"""Help pages in plain text, the same under every release of typer: options under headings, the exit status last."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import typer
from typer.core import TyperCommand, TyperGroup

from mergeguard.cli import exit_codes, values
from mergeguard.errors import ExitCode

HEADINGS = ("Options", "What the table looks like", "Reading")
"""Of a help page, in this order; a flag names its own as ``rich_help_panel``."""
WIDTH = {"max_content_width": 100}
_TYPERS_OWN = {
    "help": "Show this page and exit.",
    "install_completion": "Set up completion of commands and options in this shell.",
    "show_completion": "Print the script that completion needs.",
}
# typer 0.29 brought click's classes into a module of its own, so neither name works under all releases.
Context: TypeAlias = Any
Formatter: TypeAlias = Any
Parameter: TypeAlias = Any
Row: TypeAlias = tuple[str, str]


class Command(TyperCommand):
    """A command whose help page is ours."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Read the command line, texts as they were typed."""
        values.take_as_typed(self.get_params(ctx))
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: Context) -> list[str]:
        """Return what stands behind the name of the command."""
        return [*_usage(self.get_params(ctx))]

    def format_options(self, ctx: Context, formatter: Formatter) -> None:
        """Write arguments and options."""
        _write_parameters(self.get_params(ctx), formatter)

    def format_epilog(self, ctx: Context, formatter: Formatter) -> None:
        """Write the exit status."""
        write_exit_status(ctx, formatter)


class Group(TyperGroup):
    """A command of commands; without one it prints its help on stderr and exits 2."""

    def collect_usage_pieces(self, ctx: Context) -> list[str]:
        """Return what stands behind the name of the group."""
        return [*_usage(self.get_params(ctx)), "COMMAND"]

    def summaries(self, ctx: Context) -> list[Row]:
        """Return each command with what it does, in the order of declaration."""
        return [(name, _first(self.get_command(ctx, name))) for name in self.list_commands(ctx)]

    def format_options(self, ctx: Context, formatter: Formatter) -> None:
        """Write the options, then each command with what it does."""
        _write_parameters(self.get_params(ctx), formatter)
        with formatter.section("Commands"):
            formatter.write_dl(self.summaries(ctx))

    def format_epilog(self, ctx: Context, formatter: Formatter) -> None:
        """Write the exit status."""
        write_exit_status(ctx, formatter)

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Read the command line, texts as they were typed; show what there is to somebody who said nothing."""
        values.take_as_typed(self.get_params(ctx))
        if not args and not ctx.resilient_parsing:
            typer.echo(ctx.get_help(), err=True)
            raise typer.Exit(ExitCode.USAGE)
        return super().parse_args(ctx, args)


def write_exit_status(ctx: Context, formatter: Formatter) -> None:
    """Write what each exit status means that the command can end with."""
    _, _, command = ctx.command_path.partition(" ")  # what stands behind the name of the program
    with formatter.section("Exit status"):
        formatter.write_dl([(str(code.value), meaning) for code, meaning in exit_codes.of(command).items()])


def _first(command: Any) -> str:  # noqa: ANN401 - click's class
    """Return the first paragraph of what a command does."""
    return ((command and command.help) or "").partition("\n\n")[0]


def _usage(parameters: list[Parameter]) -> Iterator[str]:
    yield "[OPTIONS]"
    for parameter in parameters:
        if parameter.param_type_name == "argument":
            name = f"{parameter.metavar}..." if parameter.nargs != 1 else parameter.metavar
            yield name if parameter.required else f"[{name}]"


def _write_parameters(parameters: list[Parameter], formatter: Formatter) -> None:
    by_heading: dict[str, list[Row]] = {"Arguments": [], **{heading: [] for heading in HEADINGS}}
    for parameter in parameters:
        by_heading[_heading(parameter)].append(_row(parameter))
    for heading, rows in by_heading.items():
        if rows:
            with formatter.section(heading):
                formatter.write_dl(rows)


def _heading(parameter: Parameter) -> str:
    if parameter.param_type_name == "argument":
        return "Arguments"
    return getattr(parameter, "rich_help_panel", None) or HEADINGS[0]


def _row(parameter: Parameter) -> Row:
    words = _TYPERS_OWN.get(parameter.name) or parameter.help or ""
    if parameter.param_type_name == "argument":
        return parameter.metavar, words
    names = " / ".join([*parameter.opts, *parameter.secondary_opts])
    return (names if parameter.is_flag else f"{names} {parameter.metavar}"), words
