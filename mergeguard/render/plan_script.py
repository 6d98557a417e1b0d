"""A plan as a script that a DBA reads and runs by hand: the statements of ``storage``, with what they are about."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from mergeguard.core.repair.plan import Plan, Step
from mergeguard.errors import Unsupported
from mergeguard.render.plan import summary_lines
from mergeguard.render.plan_component import Part
from mergeguard.render.text import visible
from mergeguard.storage.scripts.plan import PlanStatements

_RUN = {
    "sqlite": "sqlite3 -bail DATABASE < SCRIPT",
    "postgresql": "psql -v ON_ERROR_STOP=1 -f SCRIPT DATABASE",
    "mssql": "sqlcmd -b -x -I -S SERVER -d DATABASE -i SCRIPT",
}


def plan_script(plan: Plan) -> str:
    """Write a plan as a script in the dialect of its target; without a step it holds only comments.

    Raises:
        Unsupported: the plan is for a kind of database that has no scripts.
    """
    statements = _statements(plan)
    lines = [*_comments(_head(plan)), ""]
    if plan.steps:
        lines += [*statements.opening(), ""]
    for number, step in enumerate(plan.steps, 1):
        lines += [*_comments(_about(number, step)), *statements.step(step), ""]
    if plan.steps:
        lines += _comments(["The way back: run these statements without the dashes."])
        lines += [f"--   {part}" for line in statements.back_all() for part in line.splitlines()]
    return "\n".join(lines) + "\n"


def _statements(plan: Plan) -> PlanStatements:
    if plan.target.kind == "sqlite":
        from mergeguard.storage.sqlite.statements import SqliteStatements  # noqa: PLC0415 - only the dialect asked for

        return SqliteStatements(plan)
    if plan.target.kind == "postgresql":
        from mergeguard.storage.postgresql.statements import PostgresqlStatements  # noqa: PLC0415 - as above

        return PostgresqlStatements(plan)
    if plan.target.kind == "mssql":
        from mergeguard.storage.mssql.statements import MssqlStatements  # noqa: PLC0415 - as above

        return MssqlStatements(plan)
    raise Unsupported(f"no script can be written for {visible(plan.target.kind)}", hint="use 'mergeguard apply'")


def _head(plan: Plan) -> Iterator[str]:
    yield f"MergeGuard {plan.tool_version}: plan {plan.plan_id} as a script"
    yield f"for {plan.target.server}, database {plan.target.database} ({plan.target.url})"
    yield f"made {plan.created.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
    yield from summary_lines(plan)
    yield ""
    yield f"Run it with: {_RUN.get(plan.target.kind, '')}"
    yield "It stops at the first component whose rows are no longer as planned; those before it are done."
    yield "Nothing is journalled: 'mergeguard undo' knows nothing of it. The rows that go are copied first; the way"
    yield "back stands at the end. The lookup is not touched: run 'mergeguard lookup build' afterwards."


def _about(number: int, step: Step) -> Iterator[str]:
    part = Part(step)
    survivor = "" if step.survivor is None else f", {part.name(step.survivor)} survives"
    yield f"{number}. {step.component}: {' and '.join(step.kinds)}{survivor} ({step.confidence.value})"
    yield part.told(step.why)


def _comments(lines: Iterator[str] | list[str]) -> list[str]:
    # sqlcmd would put a variable in the place of $(...), even here.
    return [f"-- {visible(line).replace('$(', '$ (')}".rstrip() for line in lines]
