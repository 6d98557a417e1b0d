"""What it costs to read an event: ``core.nse.read`` against expat with handlers that do nothing, on the same document.

python scripts/bench/parsing.py [--rounds 15]

Figures are of processor time, and each ratio is of one round. Expat is given a body as the reader gives it: in one
piece, its texts buffered. The peak is what a reading holds at most, the body aside.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
import tracemalloc
import uuid
from collections.abc import Callable, Iterable
from xml.parsers import expat

from measure import print_machine, print_ratios, rounds

from mergeguard.core.nse import Association, ClassData, Key, Message, Resource, Row, Target, read, write

SPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "bench.mergeguard")
COMPUTER = uuid.UUID("493435f7-3b17-4c4c-b07f-c23e7ab7781f")
PC = Target("0")
KEYS = ("name.domain", "fqdn", "uniqueid", "macaddress")


def guid(name: str) -> uuid.UUID:
    return uuid.uuid5(SPACE, name)


def inventory(classes: int, rows: int, columns: int, links: int) -> bytes:
    """Return an inventory event: ``rows`` in all, each of ``columns`` cells of 12 characters or so."""
    data = [
        ClassData(guid(f"class {number}"), PC, tuple(table(range(number, rows, classes), columns)))
        for number in range(classes)
    ]
    associations = [Association(guid(f"type {at % 5}"), PC, Target(guid=guid(f"child {at}"))) for at in range(links)]
    computer = Resource(
        "0", guid("pc"), COMPUTER, "PC-000001", tuple(Key(name, f"{name} of PC-000001") for name in KEYS)
    )
    return write(Message("1592b913-72f3-4c36-91d2-d4eda21d2f96", (computer,), tuple(associations), tuple(data)))


def table(numbers: Iterable[int], columns: int) -> Iterable[Row]:
    for number in numbers:
        yield Row(tuple(f"value {number:04} {column}" for column in range(columns)))


DOCUMENTS = {
    "basic inventory: 6 classes, 40 rows, 3 links": lambda: inventory(6, 40, 6, 3),
    "hardware: 30 classes, 90 rows, 10 links": lambda: inventory(30, 90, 8, 10),
    "software: 1 class, 5,000 rows": lambda: inventory(1, 5_000, 6, 0),
    "one column: 1 class, 20,000 rows": lambda: inventory(1, 20_000, 1, 0),
    "associations: 5,000 links": lambda: inventory(1, 1, 6, 5_000),
    "largest: 1 class, 100,000 rows": lambda: inventory(1, 99_999, 10, 0),
}


def nothing(body: bytes) -> None:
    """Let expat call handlers that do nothing."""

    def start(_name: str, _attributes: dict[str, str]) -> None:
        pass

    def end(_name: str) -> None:
        pass

    def text(_text: str) -> None:
        pass

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    parser.Parse(body, True)  # noqa: FBT003 - expat takes it by position only


def cost(job: Callable[[bytes], object], body: bytes) -> float:
    """Return the seconds of processor time for one reading, of as many as take a tenth of a second."""
    gc.collect()
    times = max(1, 8_000_000 // (len(body) + 1_000) // 10)
    before = time.process_time()
    for _ in range(times):
        job(body)
    return (time.process_time() - before) / times


def peak(body: bytes) -> float:
    """Return the megabytes that reading a body takes at most."""
    tracemalloc.start()
    read(body)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the reading of events.")
    parser.add_argument("--rounds", type=int, default=15)
    asked = parser.parse_args()
    print_machine()
    for name, make in DOCUMENTS.items():
        body = make()
        jobs = {
            "expat, handlers do nothing": lambda body=body: cost(nothing, body),
            "mergeguard.core.nse.read": lambda body=body: cost(read, body),
        }
        figures = rounds(asked.rounds, jobs)
        bare, ours = figures.values()
        speed = statistics.median(before / after for before, after in zip(bare, ours, strict=True))
        most = statistics.median(ours)
        told = (
            f"{speed:.2f} of expat, {len(body) / most / 1e6:.0f} MB/s, {1e6 * most:,.0f} us, peak {peak(body):.1f} MB"
        )
        title = f"{name} ({len(body):,} bytes)"
        print_ratios(title, figures, "expat, handlers do nothing", {"mergeguard.core.nse.read": told})


if __name__ == "__main__":
    main()
