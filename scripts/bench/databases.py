"""The lookup that a run left behind, in both databases: take it away, or sum it up so that two can be compared.

The drivers stay out of the process that starts the runs: a child counts the memory of its parent until it begins.
"""

from __future__ import annotations

import sys

from make_names import LOOKUP, LOOKUP_COLUMNS
from measure import run, script


def drop_lookup(url: str) -> None:
    run(script("databases.py", "drop", url))


def answer_of(url: str) -> str:
    """Return counts, depths and the outermost currents of each status."""
    return run(script("databases.py", "answer", url)).out


def main() -> None:
    import sqlalchemy as sa  # noqa: PLC0415 - see above

    what, url = sys.argv[1:]
    engine = sa.create_engine(url)
    _old, current, depth, status = (sa.column(name) for name in LOOKUP_COLUMNS)
    with engine.begin() as connection:
        if what == "drop":
            connection.execute(sa.text(f"DROP TABLE IF EXISTS {LOOKUP}"))
            return
        lite = engine.dialect.name == "sqlite"
        text = sa.func.hex(current) if lite else sa.cast(current, sa.Text)
        summed = sa.select(status, sa.func.count(), sa.func.sum(depth), sa.func.min(text), sa.func.max(text))
        for row in connection.execute(summed.select_from(sa.table(LOOKUP)).group_by(status).order_by(status)):
            print(*row)


if __name__ == "__main__":
    main()
