"""One look at the integrity of a database that a server works on, as a value that travels between two processes.

The look is taken in a process of its own, so that neither its memory nor its work is the server's: a scan of millions
of rows would keep threads of the same process from their events. The question comes as one line of JSON on stdin and
never on the command line, which others can read; the answer goes to stdout.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from mergeguard.errors import MergeGuardError

if TYPE_CHECKING:
    from mergeguard.core.findings import ScanReport
    from mergeguard.integrity.lookup import Verified
    from mergeguard.storage.database.source import DatabaseSource
    from mergeguard.storage.importing.store import ImportStore
    from mergeguard.storage.profile import Profile
    from mergeguard.storage.source import Source

_Found = TypeVar("_Found")
_NICE: Final = 10
"""Steps by which a look stands back behind the handling of events."""
_LONGEST: Final = 300
"""Characters of a message that are kept."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be looked at."""

    target: str
    password: str | None
    lock_timeout: float
    limit: float
    """Seconds for the scan."""

    def line(self) -> str:
        """Return it as one line of text."""
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def read(cls, line: str) -> Question:
        """Return what ``line`` wrote."""
        return cls(**json.loads(line))


@dataclass(frozen=True, slots=True)
class RuleResult:
    """What one rule says."""

    rule: str
    name: str
    severity: str
    count: int
    example: str = ""
    """The first finding in words."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look saw. What could not be looked at is a failure in words, and the rest is there all the same."""

    rules: tuple[RuleResult, ...] = ()
    """Those that were checked."""
    unchecked: Mapping[str, str] = field(default_factory=dict)
    """By rule: why it was not."""
    drift: Mapping[str, int] | None = None
    """Olds of the stored lookup that are missing, extra or different; ``None`` where there is no lookup."""
    purged: int = 0
    """Rows of event classes that were removed."""
    failures: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def findings(self) -> int:
        """How many findings are errors or warnings."""
        return sum(rule.count for rule in self.rules if rule.severity != "info")

    def text(self) -> str:
        """Return it as text."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> Looked:
        """Return what ``text`` wrote.

        Raises:
            ValueError: it is no such text.
        """
        try:
            found = json.loads(text)
            rules = tuple(RuleResult(**rule) for rule in found.pop("rules"))
            return cls(rules=rules, failures=tuple(found.pop("failures")), **found)
        except (TypeError, KeyError, AttributeError):
            raise ValueError("it is no answer of a look") from None


def look(question: Question, clock: Callable[[], float] = time.monotonic) -> Looked:
    """Scan, hold the stored lookup against the rows, and purge event classes; each whatever became of the others."""
    began = clock()
    failures: list[str] = []
    with _opened(question) as (source, profile):
        report = _tried(failures, "scan", lambda: _scanned(source, profile, question.limit))
        verified = _tried(failures, "verify the lookup", lambda: _verified(source, profile))
        if report is not None and not report.complete:
            failures.append(f"scan: not all was read within {question.limit:g} seconds")
        purged = _tried(failures, "purge", lambda: _purged(source, profile))
    return Looked(
        rules=() if report is None else _rules(report),
        unchecked={} if report is None else _unchecked(report),
        drift=None if verified is None or not verified.exists else _drift(verified),
        purged=purged or 0,
        failures=tuple(failures),
        seconds=round(clock() - began, 3),
    )


def main() -> int:
    """Answer the question on stdin; end at once where the server that asked it ends."""
    question = Question.read(sys.stdin.readline())
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(_NICE)
    try:
        print(look(question).text())  # noqa: T201 - the answer
    except MergeGuardError as failure:
        print(Looked(failures=(failure.message[:_LONGEST],)).text())  # noqa: T201 - likewise
    return 0


def _end_with_the_server() -> None:
    sys.stdin.read()  # the server keeps it open as long as it lives
    os._exit(1)


@contextmanager
def _opened(question: Question) -> Iterator[tuple[Source, Profile]]:
    from mergeguard.storage.importing.references import reference_profile  # noqa: PLC0415 - the server does without
    from mergeguard.storage.profile_file import builtin_profile  # noqa: PLC0415 - as above
    from mergeguard.storage.source import Options  # noqa: PLC0415 - as above
    from mergeguard.storage.targets import open_target  # noqa: PLC0415 - as above

    profile = builtin_profile("reference")
    options = Options(password=question.password, lock_timeout=question.lock_timeout)
    source = open_target(question.target, profile, options)
    try:
        yield source, reference_profile(source, profile)
    finally:
        source.close()


def _tried(failures: list[str], what: str, work: Callable[[], _Found]) -> _Found | None:
    try:
        return work()
    except MergeGuardError as failure:
        failures.append(f"{what}: {failure.message[:_LONGEST]}")
        return None


def _scanned(source: Source, profile: Profile, limit: float) -> ScanReport:
    from mergeguard.integrity.scan import ScanOptions, scan_source  # noqa: PLC0415 - imports NumPy

    return scan_source(source, profile, ScanOptions(max_findings=1, max_duration=limit))


def _verified(source: Source, profile: Profile) -> Verified:
    from mergeguard.integrity.lookup import verify_lookup  # noqa: PLC0415 - imports NumPy

    return verify_lookup(source, profile)


def _purged(source: Source, profile: Profile) -> int:
    """Remove what is too old or too much, a piece at a time, so that no lock is held for long."""
    from mergeguard.resources.opened import require_database  # noqa: PLC0415 - imports SQLAlchemy
    from mergeguard.storage.importing.opening import import_store  # noqa: PLC0415 - as above

    database = require_database(source, profile)
    store = import_store(database)
    purged = 0
    while rows := _piece(database, store):
        purged += rows
    return purged


def _piece(database: DatabaseSource, store: ImportStore) -> int:
    with database.translated(writing=True), database.connect_to_write() as connection:
        database.begin_write(connection)
        rows = store.purge(connection)
        connection.commit()
    return rows


def _rules(report: ScanReport) -> tuple[RuleResult, ...]:
    return tuple(
        RuleResult(
            outcome.rule,
            outcome.name,
            outcome.severity.value,
            outcome.count,
            outcome.findings[0].message[:_LONGEST] if outcome.findings else "",
        )
        for outcome in report.outcomes
        if outcome.not_checked is None
    )


def _unchecked(report: ScanReport) -> Mapping[str, str]:
    return {outcome.rule: outcome.not_checked for outcome in report.outcomes if outcome.not_checked is not None}


def _drift(verified: Verified) -> Mapping[str, int]:
    return {"missing": verified.missing, "extra": verified.extra, "different": verified.different}


if __name__ == "__main__":
    sys.exit(main())
