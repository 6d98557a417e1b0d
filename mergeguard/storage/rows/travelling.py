"""How the statements of a transaction travel to a database: each by itself, unless a driver knows better."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from mergeguard.core.repair.plan import RowChange
from mergeguard.storage.database.stored_table import Condition


class TravellingStatements(ABC):
    """What a driver may do better than one way to the server and back for each statement."""

    @property
    def sends_commit(self) -> bool:
        """Whether a commit may be one of the statements that travel together."""
        return False

    def together(self) -> AbstractContextManager[object]:
        """Let statements inside, of which no answer is read, travel together where the driver can do that."""
        return nullcontext()

    def joining(self) -> AbstractContextManager[object]:
        """Let what is written inside by ``write`` become one statement where the database can do that."""
        return nullcontext()

    def write(self, sql: str, values: Sequence[object] = (), *, first: Condition | None = None) -> None:  # noqa: ARG002 - a hook's parameter
        """Send an INSERT or DELETE of which no answer is read; inside ``joining`` none sees what another one did.

        ``first`` is for databases that join: a DELETE whose rows the statement counts as ``gone``, and so comes after.
        """
        self.run(sql, values)

    def removing(self, changes: Sequence[RowChange]) -> Sequence[Condition]:  # noqa: ARG002 - a hook's parameter
        """Return what may go ahead of a change: statements that it will send anyway, and whose answers it reads."""
        return ()

    def ahead(self, asked: Sequence[Condition]) -> None:  # noqa: B027 - a hook
        """Send questions that ``tuples`` is about to ask, all on one way to the server where the driver can do that.

        Each answer is given out once, to the next question of the same text and values.
        """

    @abstractmethod
    def run(self, sql: str, values: Sequence[object] = ()) -> Any:  # noqa: ANN401 - the drivers' cursors share no type
        """Send a statement of the dialect's own; return the driver's cursor, which is good until the next statement."""
