"""The two kinds of merges that can be scheduled: any function of a connection, and MergeGuard's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any, Protocol

import sqlalchemy as sa

from mergeguard.errors import MergeRefused
from mergeguard.storage.source import Options
from mergeguard.storage.targets import open_target
from mergeguard.testing.history import Outcome
from mergeguard.testing.rings import Case
from mergeguard.testing.scheduler import Programs, Watcher
from mergeguard.testing.scratch import Scratch
from mergeguard.testing.tables import Guid, Tables, guid


class Refused(Exception):
    """What a merge under test raises for what it must not make, a cycle for one."""


class System(Protocol):
    """What is tested."""

    @property
    def watcher(self) -> Watcher:
        """Of its database."""
        ...

    def begin(self, case: Case) -> Programs:
        """Put the tables back to the beginning of a case, and return one program for each of its merges."""
        ...

    def tables(self) -> Tables:
        """Read what is committed."""
        ...

    def observe(self, query: str, values: Sequence[object]) -> Sequence[Sequence[object]]:
        """Run a query of an actor on what is committed."""
        ...

    def is_refusal(self, outcome: Outcome) -> bool:
        """Say whether a merge was refused on purpose."""
        ...

    def is_failure(self, outcome: Outcome) -> bool:
        """Say whether the database or the connection failed a merge; any other error is a bug of the program."""
        ...


class PlainMerge:
    """A merge as a function of (connection, old, new) on the kit's tables.

    Args:
        sandbox: where they are.
        merge: gets a connection of the sandbox's driver outside a transaction, at the isolation level of the case, and
            two guids as texts in either case; commits what it does.
        refusals: what it raises to refuse, beside ``Refused``.
    """

    def __init__(
        self,
        sandbox: Scratch,
        merge: Callable[[Any, str, str], object],
        refusals: tuple[type[Exception], ...] = (),
    ) -> None:
        self.sandbox = sandbox
        self.watcher = sandbox.watcher
        self._merge = merge
        self._refusals: tuple[type[Exception], ...] = (Refused, *refusals)

    def begin(self, case: Case) -> Programs:
        """Give each merge a session at the level of the case."""
        sessions = self.sandbox.sessions(len(case.edges), case.level)
        self.sandbox.reset(case.start)
        return [
            (case.call(edge), partial(self._merge, session, edge.old, edge.new))
            for session, edge in zip(sessions, case.edges, strict=True)
        ]

    def tables(self) -> Tables:
        """Read the kit's tables."""
        return self.sandbox.tables()

    def observe(self, query: str, values: Sequence[object]) -> Sequence[Sequence[object]]:
        """Ask on the sandbox's own connection."""
        return self.sandbox.observe(query, values)

    def is_refusal(self, outcome: Outcome) -> bool:
        """Say whether it raised one of its refusals."""
        return isinstance(outcome.error, self._refusals)

    def is_failure(self, outcome: Outcome) -> bool:
        """Say whether the driver raised."""
        return isinstance(outcome.error, self.sandbox.failures)


class OwnMerge:
    """MergeGuard's own ``merge`` on the kit's tables, unchanged: its engine's connections are those of the kit."""

    def __init__(self, sandbox: Scratch, options: Options | None = None) -> None:
        self.sandbox = sandbox
        self.watcher = sandbox.watcher
        self._options = options or Options()
        self._sessions: list[tuple[ExitStack, Any]] = []
        self._lost: set[int] = set()

    def begin(self, case: Case) -> Programs:
        """Open as many sessions as there are merges, and those again that were lost."""
        for at in self._lost:
            self._sessions[at][0].close()
            self._sessions[at] = self._opened()
        self._lost.clear()
        while len(self._sessions) < len(case.edges):
            self._sessions.append(self._opened())
        self.sandbox.reset(case.start)
        return [(case.call(edge), partial(self._merge, at, *edge.pair)) for at, edge in enumerate(case.edges)]

    def close(self) -> None:
        """Close all sessions."""
        for stack, _ in self._sessions:
            stack.close()
        self._sessions.clear()

    def _merge(self, at: int, old: Guid, new: Guid) -> object:
        try:
            return self._sessions[at][1].merge(old, new)
        except MergeRefused:
            raise
        except BaseException:
            self._lost.add(at)
            raise

    def tables(self) -> Tables:
        """Read the kit's tables."""
        return self.sandbox.tables()

    def observe(self, query: str, values: Sequence[object]) -> Sequence[Sequence[object]]:
        """Ask on the sandbox's own connection."""
        return self.sandbox.observe(query, values)

    def is_refusal(self, outcome: Outcome) -> bool:
        """Say whether the merge was refused."""
        return isinstance(outcome.error, MergeRefused)

    def is_failure(self, outcome: Outcome) -> bool:
        """Say whether it failed with an error that a caller may try again after, in our words or the driver's."""
        error = outcome.error
        told = isinstance(error, (*self.sandbox.failures, sa.exc.DBAPIError))
        return told or bool(getattr(error, "retryable", False))

    def _opened(self) -> tuple[ExitStack, object]:
        from mergeguard.resources.merge import open_merges  # noqa: PLC0415 - heavy, and not needed for plain merges

        stack = ExitStack()
        source = open_target(self.sandbox.url, self.sandbox.profile, self._options)
        stack.callback(source.close)
        schedulable(source)
        merges = stack.enter_context(open_merges(source, self.sandbox.profile))
        with suppress(MergeRefused):  # what a session asks of the catalogue once is not part of any schedule
            merges.merge(guid(0), guid(0))
        return stack, merges


def schedulable(target: Any) -> None:  # noqa: ANN401 - a Source of a database, or an engine
    """Make the connections of a SQLAlchemy engine, or of a source, such that their statements are steps.

    Only connections opened from now on; and only in the threads of a schedule's actors. One connection is opened and
    closed: SQLAlchemy asks a server about itself at the first one, and lets all others wait meanwhile.
    """
    if getattr(target, "kind", "") == "sqlite":  # a source that opens its file by itself, as often as it likes
        from mergeguard.testing.sqlite import SqliteConnection  # noqa: PLC0415 - the driver of one dialect

        target.driver_class = SqliteConnection
        return
    engine: sa.Engine = getattr(target, "engine", target)
    sa.event.listen(engine, "do_connect", _connect)
    engine.connect().close()


def _connect(dialect: sa.Dialect, _record: object, arguments: Any, options: dict[str, Any]) -> object:  # noqa: ANN401 - as SQLAlchemy gives them
    if dialect.name == "postgresql":
        from mergeguard.testing.postgresql import StepConnection  # noqa: PLC0415 - the driver of one dialect

        return StepConnection.connect(*arguments, **options)
    if dialect.name == "mssql":
        from mergeguard.testing.mssql import MssqlConnection  # noqa: PLC0415 - likewise

        return MssqlConnection(dialect.loaded_dbapi.connect(*arguments, **options))
    from mergeguard.testing.sqlite import SqliteConnection  # noqa: PLC0415 - likewise

    options["factory"] = SqliteConnection
    return None
