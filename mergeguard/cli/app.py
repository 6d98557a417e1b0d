"""The program: its commands, and what happens to everything they raise."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from mergeguard.cli import config, demo, discover, doctor, explain, history, lookup, resolve, scan
from mergeguard.errors import ExitCode, MergeGuardError
from mergeguard.version import __version__

EXIT_STATUS = "EXIT STATUS\n\n" + "\n\n".join(f"{code.value}  {code.meaning}" for code in ExitCode)

# Plain help: rich would cost more than all the rest of the start.
app = typer.Typer(
    name="mergeguard",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog=EXIT_STATUS,
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


app.command("scan", epilog=EXIT_STATUS)(scan.scan)
app.command("explain", epilog=EXIT_STATUS)(explain.explain)
app.command("resolve", epilog=EXIT_STATUS)(resolve.resolve)
app.add_typer(lookup.app, name="lookup")
app.command("discover", epilog=EXIT_STATUS)(discover.discover)
app.command("doctor", epilog=EXIT_STATUS)(doctor.doctor)
app.command("history", epilog=EXIT_STATUS)(history.history)
app.add_typer(config.app, name="config")
app.command("demo", epilog=EXIT_STATUS)(demo.demo)


def main() -> NoReturn:
    """Run the program and end the process with one of ``ExitCode``; a user never sees a traceback."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        app(prog_name="mergeguard")
    except MergeGuardError as error:
        _say(f"error: {error.message}", error.hint)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _say("interrupted")
        sys.exit(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # The reader of stdout has gone (``| head``); there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitCode.CLEAN)
    except Exception as error:  # noqa: BLE001 - the last line of defence: any bug ends in a file, never on the screen
        _bug(error)
    sys.exit(ExitCode.CLEAN)


def _say(message: str, hint: str | None = None) -> None:
    print(message, file=sys.stderr)
    if hint:
        print(f"hint: {hint}", file=sys.stderr)


def _terminated(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(ExitCode.TERMINATED)


def _bug(error: Exception) -> NoReturn:
    """Write the traceback to a file of its own, passwords masked, and say where it is."""
    import traceback

    from mergeguard.storage.secrets import masked, scrub

    secrets = [value for name, value in os.environ.items() if "PASS" in name.upper() and value]
    text = scrub("".join(traceback.format_exception(error)), secrets)
    called = " ".join(masked(argument) for argument in sys.argv[1:])
    descriptor, path = tempfile.mkstemp(prefix="mergeguard-crash-", suffix=".txt")
    with Path(path).open("w", encoding="utf-8", errors="backslashreplace") as file:
        os.close(descriptor)
        file.write(f"mergeguard {__version__}, Python {sys.version}\narguments: {called}\n\n{text}")
    _say(
        f"internal error: {type(error).__name__}; this is a bug in MergeGuard",
        f"the details are in {path}; look it over for data of yours before you pass it on",
    )
    sys.exit(ExitCode.BUG)
