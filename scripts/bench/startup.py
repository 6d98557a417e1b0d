"""What it costs to start: ``mergeguard --help`` over a bare interpreter.

python scripts/bench/startup.py [--rounds 20]
"""

from __future__ import annotations

import argparse
import statistics
import sys

from measure import mergeguard, print_machine, print_ratios, rounds, run


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the start.")
    parser.add_argument("--rounds", type=int, default=20)
    asked = parser.parse_args()
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "python -c 'import typer'": [sys.executable, "-c", "import typer"],
        "mergeguard --help": mergeguard("--help"),
        "mergeguard scan --help": mergeguard("scan", "--help"),
        "mergeguard scan --list-rules": mergeguard("scan", "--list-rules"),
    }
    figures = rounds(asked.rounds, {name: lambda one=one: run(one).seconds for name, one in commands.items()})  # type: ignore[misc]
    print_machine()
    bare = figures["python -c pass"]
    extra = {}
    for name, values in figures.items():
        more = statistics.median(value - base for value, base in zip(values, bare, strict=True))
        extra[name] = f"{1000 * more:+.0f} ms over a bare interpreter"
    print_ratios("Start", figures, "python -c pass", extra)


if __name__ == "__main__":
    main()
