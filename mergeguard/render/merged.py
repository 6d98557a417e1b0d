"""What a merge did, or would do, in a few lines for people."""

from __future__ import annotations

from collections.abc import Iterator

from mergeguard.render import words
from mergeguard.render.text import argument, visible
from mergeguard.resources.merged import ColumnMoves, Merged


def merged_text(merged: Merged, target: str) -> str:
    """Say what a merge did, and the way back."""
    return "".join(f"{line}\n" for line in _merged(merged, target))


def preview_text(merged: Merged) -> str:
    """Say what a merge would do: whether it would close a circle, what moves, what is dropped."""
    return "".join(f"{line}\n" for line in _preview(merged))


def _preview(merged: Merged) -> Iterator[str]:
    if merged.refused is not None:
        circle = "it would close a circle" if merged.closes_loop else "it would be refused"
        yield f"{circle} ({merged.refused.reason}): {visible(merged.refused.message)}"
        if merged.refused.hint:
            yield f"  hint: {visible(merged.refused.hint)}"
        return
    if merged.already:
        yield f"nothing to do: both are {merged.new_root} already"
        return
    yield f"no circle: {merged.old_root} would be merged into {merged.new_root}"
    yield from _effects(merged)
    yield "nothing was written"


def _merged(merged: Merged, target: str) -> Iterator[str]:
    if merged.already:
        yield f"nothing to do: both are {merged.new_root} already"
        return
    again = " (this request was answered before)" if merged.repeated else ""
    yield f"{merged.old_root} is merged into {merged.new_root}{again}"
    yield from _effects(merged)
    yield f"the way back: mergeguard undo {argument(target)} {merged.run_id}"


def _effects(merged: Merged) -> Iterator[str]:
    if merged.lookup_rows:
        yield f"{words.counted(merged.lookup_rows, 'row')} of the lookup"
    if merged.live_rows:
        yield f"{words.counted(merged.live_rows, 'row')} taken out of the live guids"
    for column, moves in merged.columns.items():
        yield f"{visible(column)}: {_counts(moves)}"
    if merged.hashes_cleared:
        yield f"{words.counted(merged.hashes_cleared, 'hash value')} cleared"
    yield from (visible(note) for note in merged.notes)


def _counts(moves: ColumnMoves) -> str:
    parts = (
        (moves.changed, "re-pointed"),
        (moves.dropped, "dropped as links to themselves"),
        (moves.collapsed, "dropped as older or equal"),
        (moves.outnumbered, "dropped beyond the most that are allowed"),
    )
    said = ", ".join(f"{count:,} {word}" for count, word in parts if count)
    gave_way = f"; {words.counted(moves.replaced, 'row')} of the other gave way" if moves.replaced else ""
    return f"{words.counted(moves.rows, 'row')}: {said}{gave_way}"
