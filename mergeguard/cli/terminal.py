"""What goes where: the payload to stdout or files, everything else to stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypeAlias

from mergeguard.errors import UsageError, WriteFailed

if TYPE_CHECKING:
    from mergeguard.storage.settings import Settings
    from mergeguard.storage.source import Progress

STDOUT = Path("-")
_SUFFIXES = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".sarif": "sarif",
    ".xml": "junit",
    ".md": "markdown",
    ".html": "html",
    ".dot": "dot",
    ".svg": "svg",
    ".prom": "prometheus",
    ".txt": "table",
    ".csv": "csv",
    ".tsv": "tsv",
}
Wanted: TypeAlias = tuple[str, Path]


def pair_outputs(formats: Sequence[str], outputs: Sequence[Path], known: Sequence[str], default: str) -> list[Wanted]:
    """Decide which format goes where.

    As many outputs as formats: in that order. Otherwise each output takes the format its suffix names, and what is left
    of the formats, or the default, goes to stdout.

    Raises:
        UsageError: an unknown format, an output whose format cannot be told, or two payloads for one place.
    """
    for name in formats:
        if name not in known:
            raise UsageError(f"unknown format {name!r}", hint=f"the formats here are {', '.join(known)}")
    if outputs and len(formats) == len(outputs):
        wanted = list(zip(formats, outputs, strict=True))
    else:
        wanted = [(_by_suffix(path, known), path) for path in outputs]
        left = [name for name in formats if name not in {told for told, _ in wanted}]
        wanted += [(name, STDOUT) for name in left or ([] if formats else [default])]
    places = [path for _, path in wanted]
    for path in places:
        if places.count(path) > 1:
            place = "stdout" if path == STDOUT else str(path)
            raise UsageError(f"two formats cannot both go to {place}", hint="give each --format an --output of its own")
    return wanted


def require_places(outputs: Iterable[Path | None], target: str) -> None:
    """Refuse an output that cannot be written, before a long read rather than after it.

    Raises:
        UsageError: its folder does not exist, or it is a folder, or the target itself.
    """
    for path in outputs:
        if path is None or path == STDOUT:
            continue
        try:
            same = path.exists() and Path(target).exists() and path.samefile(target)
            missing, folder = not path.absolute().parent.is_dir(), path.is_dir()
        except (OSError, ValueError):  # no usable name: writing tells it better
            continue
        if same:
            raise UsageError(f"cannot write {path}: it is the target", hint="name another file")
        if missing:
            raise UsageError(f"cannot write {path}: its folder does not exist", hint="create the folder first")
        if folder:
            raise UsageError(f"cannot write {path}: it is a folder", hint="name a file inside it")


def _by_suffix(path: Path, known: Sequence[str]) -> str:
    name = _SUFFIXES.get(path.suffix.lower())
    if path == STDOUT or name not in known or name is None:
        raise UsageError(f"--output {path}: which format?", hint="give as many --format as --output, in that order")
    return name


def replace_closed_streams() -> None:
    """Let a stream that was closed before the start (``>&-``) lead nowhere.

    Python has no object for it, and its number would go to the first file that is opened: what a library prints would
    land in a database.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: its own
            setattr(sys, name, open(nowhere, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115 - stays open


def write(text: str, path: Path) -> None:
    """Write a payload to stdout (``-``) or, at once, to a file.

    A reader of stdout who goes away (``| head``) has seen enough: the rest is dropped, the verdict stands.

    Raises:
        UsageError: the folder does not exist.
        PermissionDenied: the file may not be written.
        WriteFailed: anything else, a full disk above all.
    """
    if path != STDOUT:
        from mergeguard.render import write_output

        write_output(text, path)
        return
    # Guids need ASCII only, but names may not fit a console's code page: never fail on one.
    stream = sys.stdout
    encoding = stream.encoding or "utf-8"
    try:
        stream.write(text.encode(encoding, "replace").decode(encoding, "replace"))
        stream.flush()
    except BrokenPipeError:
        abandon(stream)
    except OSError as failure:
        abandon(stream)
        reason = failure.strerror or type(failure).__name__
        raise WriteFailed(f"cannot write to stdout: {reason}", hint="free some space, or use --output") from None


def say(text: str) -> None:
    """Say something that is not the payload; where nobody listens any more, to nobody."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        abandon(sys.stderr)


def abandon(stream: TextIO) -> None:
    """Let what is still buffered for a stream go nowhere: Python would complain at the exit, with a code of its own."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def colours(settings: Settings) -> bool:
    """Decide whether to colour what goes to stdout; ``NO_COLOR`` and ``FORCE_COLOR`` are heard in ``auto``."""
    if settings.colour != "auto":
        return settings.colour == "always"
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or sys.stdout.isatty()


def width() -> int:
    """Return the columns of the terminal, 100 where there is none."""
    import shutil

    return shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 100


@contextmanager
def progress(settings: Settings) -> Iterator[Progress]:
    """Show phase and rows read on stderr while a command runs: on a terminal, or where ``always`` is set."""
    shown = settings.progress == "always" or (settings.progress == "auto" and sys.stderr.isatty())
    if not shown:
        from mergeguard.storage.source import silent

        yield silent
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, force_terminal=settings.progress == "always" or None)
    columns = (SpinnerColumn("line"), TextColumn("{task.description}"), BarColumn(bar_width=30), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=sys.stderr.isatty()) as bar:
        yield _reporter(bar.add_task("starting", total=None), bar.update)


def _reporter(task: int, update: Callable[..., None]) -> Progress:
    def report(phase: str, done: int, total: int | None) -> None:
        counted = f": {done:,} of {total}" if phase.endswith("steps") else f": {done:,} rows"
        rows = counted if done else ""
        update(task, description=f"{phase}{rows}", completed=done, total=total)

    return report
