"""The rate of the event queue on PostgreSQL while hundreds of thousands of events wait, beside that while none do.

    python scripts/bench/queueing_backlog.py [--backlog 500000] [--events 40000] [--rounds 7] [--sources 500]
        [--workers 4]

Each of four databases is filled once; every run works in a new copy of it (so the login may create databases), after
a checkpoint: no run meets what another one left. They are run in pairs, one right after the other, in turns which of
the two comes first, and a figure is the ratio of such a pair:

- *in another queue*: the same events of the same chains, all of them done; and beside them the backlog in the slow
  queue, under another priority of the same sources. Nothing but the size of the tables differs.
- *in the same chains*: the same number of events is done, from the heads of chains of which some have as many again
  behind them, and the others the backlog. A claim here finds full chains, near and far.

The median of the pairs is to be 0.90 or more; the quartiles beside it say how far to trust it.
"""
# ruff: noqa: PLC0415 - heavy imports stand where they are used

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager

from measure import postgresql, print_machine
from queueing_work import Amount, check, check_order, connected, fresh, register, run_workers, settle

WARM = 1
"""Pairs that are run first and not counted: the first copies are read from a cold disk."""


def prepare(url: str, name: str, amount: Amount, behind: int, apart: int) -> str:
    """Make a database with events to do, others behind them in their chains, and others in a queue apart."""
    from mergeguard.core.events import Queue

    made = created(url, name, "template1")
    with closing(fresh(made)) as store:
        register(store, amount.keys(amount.events + behind), Queue.FAST)
        register(store, amount.keys(apart), Queue.SLOW, priority=1)
    settle(made)
    return name


def created(url: str, name: str, template: str) -> str:
    """Make a database as a copy; return its URL."""
    with connected(url) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        connection.execute("CHECKPOINT")
    return f"{url.rpartition('/')[0]}/{name}"


@contextmanager
def copied(url: str, template: str) -> Iterator[str]:
    yield created(url, "mergeguard_bench_run", template)
    dropped(url, "mergeguard_bench_run")


def dropped(url: str, *names: str) -> None:
    with connected(url) as connection:
        for name in names:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def emptied(url: str, template: str, amount: Amount) -> float:
    """Return the rate until no event of the queue is left."""
    with copied(url, template) as made:
        figure = run_workers(made, "worker", amount.workers)
        check(made, template, amount.keys(amount.events))
    return figure


def begun(url: str, template: str, amount: Amount, behind: int) -> float:
    """Return the rate of the workers, each for as long as it has not done its share."""
    with copied(url, template) as made:
        figure = run_workers(made, "worker", amount.workers, -(-amount.events // amount.workers))
        with connected(made) as connection:
            done = [number - 1 for (number,) in connection.execute("SELECT event FROM effect ORDER BY place")]
            left = connection.execute("SELECT count(*) FROM mergeguard_event").fetchone()[0]
        if len(done) < amount.events or len(set(done)) + left != amount.events + behind:
            raise SystemExit(f"{template}: {len(set(done)):,} effects and {left:,} left of {amount.events + behind:,}")
        check_order(template, done, amount.keys(amount.events + behind))
    return figure


Way = Callable[[], float]


def pairs(times: int, without: Way, beside: Way) -> list[tuple[float, float]]:
    """Run both ways one after the other, in turns which comes first; return the rates without and with a backlog."""
    found = []
    for number in range(WARM + times):
        if number % 2:
            with_it, plain = beside(), without()
        else:
            plain, with_it = without(), beside()
        found.append((plain, with_it))
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{number}/{times} {with_it / plain:.2f} \r")
    return found[WARM:]


def report(title: str, found: Sequence[tuple[float, float]]) -> float:
    """Print the ratios of the pairs; return their median."""
    ratios = sorted(with_it / plain for plain, with_it in found)
    low, middle, high = quartiles(ratios)
    rates = " and ".join(f"{statistics.median(rates):,.0f}/s" for rates in zip(*found, strict=True))
    print(
        f"  {title:<24}{ratios[0]:>8.2f}{low:>8.2f}{middle:>8.2f}{high:>8.2f}{ratios[-1]:>8.2f}   {rates}", flush=True
    )
    return middle


def quartiles(values: Sequence[float]) -> Sequence[float]:
    """Return what a quarter, half and three quarters of some figures lie below."""
    return statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3


def main() -> None:
    parser = argparse.ArgumentParser()
    usual = {"backlog": 500_000, "events": 40_000, "rounds": 7, "sources": 500, "workers": 4}
    for name, number in usual.items():
        parser.add_argument(f"--{name}", type=int, default=number)
    given = parser.parse_args()
    amount, backlog = Amount(given.events, given.sources, given.workers, 0), given.backlog
    print_machine()
    print(
        f"\n{amount.events:,} events beside {backlog:,} that wait: part of the rate without them, {given.rounds} pairs"
    )
    print(f"  {'':<24}{'min':>8}{'25%':>8}{'median':>8}{'75%':>8}{'max':>8}   without and with")
    with postgresql(durable=True) as url:
        alone = prepare(url, "mergeguard_bench_alone", amount, 0, 0)
        apart = prepare(url, "mergeguard_bench_apart", amount, 0, backlog)
        found = pairs(given.rounds, lambda: emptied(url, alone, amount), lambda: emptied(url, apart, amount))
        report("in another queue", found)
        dropped(url, alone, apart)
        near, few = prepare(url, "mergeguard_bench_near", amount, amount.events, 0), amount.events
        far = prepare(url, "mergeguard_bench_far", amount, backlog, 0)
        found = pairs(given.rounds, lambda: begun(url, near, amount, few), lambda: begun(url, far, amount, backlog))
        report("in the same chains", found)
        dropped(url, near, far)


if __name__ == "__main__":
    main()
