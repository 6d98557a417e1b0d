"""All documents that hold something generated, as (path, text) pairs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from docs import blocks, rules
from docs.session import CHECKOUT, Session, session

DOCS = CHECKOUT / "docs"
PICTURE = DOCS / "images" / "tz-cycle.svg"
PICTURE_COMMAND = (
    "mergeguard explain tz_link_accumulated.tsv America/Denver --ids text "
    "--old-column old_name --new-column current_name --format svg"
)
BLOCK = re.compile(r"(<!-- generated: (\S+)([^\n]*?) -->\n)(?s:.*?)(<!-- end -->)")


def documents() -> Iterator[tuple[Path, str]]:
    """Yield every document of the checkout that is generated in whole or in part, and its text as it should be."""
    for path in [*sorted(CHECKOUT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]:
        text = path.read_text("utf-8")
        if BLOCK.search(text):
            yield path, filled(text)
    with session() as shell:
        yield PICTURE, shell.run(PICTURE_COMMAND).text
    yield from rules.pages(DOCS / "reference" / "rules")


def filled(text: str) -> str:
    """Fill the blocks of one page, in order; its commands share one folder."""
    with session() as shell:
        return BLOCK.sub(lambda found: _filled(found, shell), text)


def _filled(found: re.Match[str], shell: Session) -> str:
    begin, name, words, end = found.groups()
    if name not in blocks.BLOCKS:
        raise SystemExit(f"there is no generated block {name!r}; there are {', '.join(blocks.BLOCKS)}")
    return f"{begin}{blocks.BLOCKS[name](words.strip(), shell).strip()}\n{end}"
