"""The program: its commands, and what happens to everything they raise."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer

from mergeguard.cli import crash, exit_codes, help, process, terminal  # noqa: A004 - the module of the help pages
from mergeguard.cli.commands import Program
from mergeguard.errors import ExitCode, MergeGuardError
from mergeguard.version import __version__

HINTS = {
    ExitCode.USAGE: "'mergeguard {command} --help' shows what it takes",
    ExitCode.UNCHECKED: "'mergeguard doctor TARGET' checks what a scan needs, one thing after the other",
    ExitCode.PLAN_REFUSED: "'mergeguard explain TARGET GUID' and 'mergeguard journal TARGET' say what is there now",
    ExitCode.ROLLED_BACK: "nothing was changed; mend the cause and run the command again",
    ExitCode.BUG: "this is a bug in MergeGuard",
}
"""What to do about an error that knows nothing better."""

# Plain help: rich would cost more than all the rest of the start.
app = typer.Typer(
    name="mergeguard",
    cls=Program,
    context_settings=help.WIDTH,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Finds, explains and prevents defects in a table of resource merges. Reads only, unless a command's name says "
    "otherwise.",
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"mergeguard {__version__}")
        raise typer.Exit


@app.callback()
def _program(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Hold what stands before the command."""


def main() -> NoReturn:
    """Run the program and end the process with one of ``ExitCode``; a user never sees a traceback."""
    terminal.replace_closed_streams()
    signal.signal(signal.SIGTERM, _terminated)
    try:
        with process.tuned():
            code = _run()
        sys.exit(code)
    except MergeGuardError as error:
        more = getattr(error, "changed", ())[1:]  # the message tells the first
        _say("\n".join([f"error: {error.message}", *(f"  also {line}" for line in more)]), _hint(error))
        sys.exit(error.exit_code)
    except _Terminated:
        _say("terminated")
        sys.exit(ExitCode.TERMINATED)
    except (KeyboardInterrupt, typer.Abort):
        _say("interrupted")
        sys.exit(ExitCode.INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - the last line of defence: any bug ends in a file, never on the screen
        sys.exit(_misuse(error) if hasattr(error, "format_message") else _bug(error))


def _run() -> int:
    try:
        # Not standalone: typer would print in its own way, and end an aborted command with what means findings here.
        code = app(prog_name="mergeguard", standalone_mode=False)
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # the reader of a help page has gone
            terminal.abandon(sys.stdout)
            return ExitCode.CLEAN
        raise
    if code == ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    return code if isinstance(code, int) else ExitCode.CLEAN


def _hint(error: MergeGuardError) -> str:
    return error.hint or HINTS[error.exit_code].format(command=exit_codes.called(sys.argv[1:]) or "COMMAND")


def _say(message: str, hint: str | None = None) -> None:
    terminal.say(crash.clean(message))
    if hint:
        terminal.say(f"hint: {crash.clean(hint)}")


class _Terminated(SystemExit):
    """SIGTERM came; what is open is closed and what is half written is rolled back on the way out."""


def _terminated(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise _Terminated(ExitCode.TERMINATED)


def _misuse(error: Any) -> ExitCode:  # noqa: ANN401 - click's exception, of which typer has a copy of its own by now
    """Tell what typer made of the command line."""
    message = str(error.format_message()).strip().rstrip(".")
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "mergeguard"
    _say(f"error: {message[:1].lower()}{message[1:]}", f"'{command} --help' shows what it takes")
    return ExitCode.USAGE


def _bug(error: Exception) -> ExitCode:
    try:
        hint = f"the details are in {crash.report(error)}; look it over for data of yours before you pass it on"
    except OSError:
        hint = f"the details could not be kept: no room for a file. In short: {error}"
    _say(f"error: {type(error).__name__} inside MergeGuard; this is a bug", hint)
    return ExitCode.BUG
