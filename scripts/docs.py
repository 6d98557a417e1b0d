"""Writes the generated parts of the documentation.

    python scripts/docs.py            rewrite what has changed
    python scripts/docs.py --check    change nothing; exit 1 and name the files that would change

Between `<!-- generated: NAME WORDS -->` and `<!-- end -->` stands what the block NAME makes of the code; pages of rules
and pictures are generated whole. The output is the same on every machine: times, run ids and folders are replaced,
and neither the terminal's width nor optional packages play a part.
"""

from __future__ import annotations

import sys

from docs import CHECKOUT, documents


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    changed = {path: text for path, text in documents() if not path.exists() or path.read_text("utf-8") != text}
    for path, text in changed.items():
        if not arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8", newline="\n")
        print(f"{'out of date' if arguments else 'written'}: {path.relative_to(CHECKOUT)}")
    return 1 if arguments and changed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
