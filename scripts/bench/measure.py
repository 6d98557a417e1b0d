"""What the benchmarks share: run a child and see its time and peak memory; print ratios with their spread.

python scripts/bench/measure.py COMMAND ARGUMENT...    seconds and peak memory of one command
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

HERE = Path(__file__).parent
CHECKOUT = HERE.parent.parent
MB = 1024 * 1024


@dataclass(frozen=True)
class Run:
    """One finished child."""

    seconds: float
    cpu: float
    """Seconds of processor time, the database server's not included."""
    peak_mb: float
    out: str


def run(command: Sequence[str | Path], *, codes: Sequence[int] = (0,)) -> Run:
    """Run a child to its end.

    Its peak memory begins with that of this process, from which it is forked: keep NumPy and drivers out of here.
    """
    environment = {**os.environ, "PYTHONPATH": f"{CHECKOUT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    # An installed package has its byte code; a child that may not keep it would compile the checkout in every round.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        start = time.perf_counter()
        child = subprocess.Popen([str(part) for part in command], stdout=out, stderr=err, env=environment)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if child.returncode not in codes:
            shown = " ".join(str(part).rpartition("@")[2] for part in command)  # a URL's password stands before the @
            raise SystemExit(f"{shown} ended with {child.returncode}:\n{err.read()[-3000:]}")
        return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, out.read())


def script(name: str, *arguments: object) -> Sequence[str]:
    """Return the command of a script of this folder."""
    return [sys.executable, str(HERE / name), *map(str, arguments)]


def mergeguard(*arguments: object) -> Sequence[str]:
    """Return the command line of this checkout, as its console script starts it."""
    return [sys.executable, "-c", "from mergeguard.cli import main; main()", *map(str, arguments)]


SERVER = """
import pathlib, sys
sys.path.insert(0, sys.argv[1])
import postgres_server
postgres_server.SETTINGS |= dict.fromkeys(("fsync", "full_page_writes", "synchronous_commit"), sys.argv[3])
postgres_server.main(pathlib.Path(sys.argv[2]))
"""
PROFILE = ("--profile", HERE / "profile.toml")


def answer(command: Sequence[str | Path]) -> dict[str, Any]:
    """Run a child that prints one line of JSON."""
    said: dict[str, Any] = json.loads(run(command).out.splitlines()[-1])
    return said


class PeakMemory:
    """The most memory this process held inside the block, above what it held before it (Linux)."""

    mb = 0.0

    def __enter__(self) -> Self:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # sets the high-water mark back to what is held now
        self._before = _status_kb("VmRSS")
        return self

    def __exit__(self, *_: object) -> None:
        self.mb = max(0, _status_kb("VmHWM") - self._before) / 1024


def _status_kb(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    return 0


def rounds(times: int, jobs: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Run all jobs in turn, ``times`` over, so that a drift of the machine meets all of them alike."""
    figures: dict[str, list[float]] = {name: [] for name in jobs}
    for number in range(times):
        for name, job in jobs.items():
            _show(f"{number + 1}/{times} {name}")
            figures[name].append(job())
    _show("")
    return figures


def _show(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{text:<60}\r")
        sys.stderr.flush()


def print_ratios(
    title: str, figures: Mapping[str, list[float]], unit: str, extra: Mapping[str, str] | None = None
) -> None:
    """Print every job's time over the ``unit`` job's of the same round: least, median, most."""
    print(f"\n{title}: time over that of {unit!r}")
    print(f"  {'':<44}{'min':>8}{'median':>8}{'max':>8}")
    for name, values in figures.items():
        ratios = sorted(value / base for value, base in zip(values, figures[unit], strict=True))
        print(f"  {name:<44}{spread(ratios)}  {(extra or {}).get(name, '')}".rstrip())


def spread(values: Sequence[float]) -> str:
    """Return least, median and most of some figures."""
    return "".join(f"{figure:>8.2f}" for figure in (min(values), statistics.median(values), max(values)))


def print_machine() -> None:
    """Say what ran this: figures mean nothing without it."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor() or platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    print(
        f"{os.cpu_count()} x {model}, {memory:.0f} GiB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"
    )


@contextlib.contextmanager
def postgresql(*, durable: bool = False) -> Iterator[str]:
    """Yield the URL of a database to work in: MERGEGUARD_BENCH_POSTGRES_URL, or the tests' own server.

    That one does not wait for its disk, unless it is asked to be ``durable``.
    """
    given = os.environ.get("MERGEGUARD_BENCH_POSTGRES_URL")
    if given:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="mergeguard-bench-") as folder, (Path(folder) / "alive").open("w") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        keeper = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(CHECKOUT / "tests"), folder, "on" if durable else "off"],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        said = json.loads(keeper.stdout.readline() if keeper.stdout else "{}")
        if "error" in said:
            raise SystemExit(said["error"])
        try:
            yield str(said["url"])
        finally:
            fcntl.flock(alive, fcntl.LOCK_UN)
            keeper.wait()
            Path(folder).mkdir(exist_ok=True)


def databases(asked: str | None, *, durable: bool = True) -> Iterator[tuple[str, str]]:
    """Yield name and URL of an empty SQLite file and of a PostgreSQL database, or of the one that is asked for."""
    if asked in {None, "sqlite"}:
        with tempfile.TemporaryDirectory(prefix="mergeguard-bench-") as folder:
            yield "sqlite", f"sqlite:///{folder}/merges.db"
    if asked in {None, "postgresql"}:
        with postgresql(durable=durable) as url:
            yield "postgresql", url


if __name__ == "__main__":
    done = run(sys.argv[1:], codes=range(-64, 256))
    print(f"{done.seconds:.2f} s, {done.cpu:.2f} s of processor, peak {done.peak_mb:,.0f} MB")
