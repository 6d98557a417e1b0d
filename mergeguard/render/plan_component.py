"""One component of a plan for people: the rows that go and stay, why, and the whole table of evidence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from mergeguard.core.repair.evidence import Confidence
from mergeguard.core.repair.plan import Refused, Step
from mergeguard.render import words
from mergeguard.render.paper import Paper
from mergeguard.render.table import aligned
from mergeguard.render.text import visible

Json: TypeAlias = Mapping[str, Any]
MAX_ROWS = 12
"""Rows of one component that are printed, and candidates likewise; all of them where one component is asked for."""
_PLACES = 2
_NAMED = 3
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TINTS = {
    Confidence.CERTAIN: "green",
    Confidence.STRONG: "green",
    Confidence.ORDERED: "green",
    Confidence.MEDIUM: "yellow",
    Confidence.ARBITRARY: "red",
}
_SOURCES = {
    "live": "live",
    "types": "type",
    "keys": "keys",
    "row_id": "order by row id",
    "time": "order by time",
    "contact": "last contact",
    "owner": "owner",
}


@dataclass(frozen=True, slots=True)
class Part:
    """A step or a refusal with the names of its guids."""

    of: Step | Refused
    full: bool = False
    """Print all of it, guids beside names too."""

    def name(self, guid: object) -> str:
        """Return what people call a guid, fit to show."""
        called = self._evidence("names", {}).get(str(guid))
        if called is None:
            return visible(guid)
        return f"{visible(called, 80)} ({guid})" if self.full else visible(called, 80)

    def told(self, text: object) -> str:
        """Return a sentence of the plan, the guids in it by their names."""
        return _GUID.sub(lambda found: self.name(found[0]), visible(text))

    def places(self, text: object) -> str:
        """Return where something was read, columns that are named twice once; only the first two unless in full."""
        columns = list(dict.fromkeys(visible(text).split(", ")))
        room = len(columns) if self.full else _PLACES
        more = len(columns) - room
        return ", ".join(columns[:room]) + (f" and {words.counted(more, 'more column')}" if more > 0 else "")

    @property
    def rows(self) -> list[Json]:
        """The rows of the members as the plan describes them."""
        return list(self._evidence("rows", []))

    @property
    def candidates(self) -> list[Json]:
        """What is known of each guid between which it was decided."""
        return list(self._evidence("candidates", []))

    @property
    def votes(self) -> list[Json]:
        """What each kind of evidence says."""
        return list(self._evidence("votes", []))

    @property
    def read_from(self) -> Json:
        """Where each kind of evidence was read."""
        found: Json = self._evidence("read_from", {})
        return found

    def shown(self, entries: Sequence[Json]) -> tuple[Sequence[Json], int]:
        """Return the entries to print and how many are left out."""
        room = len(entries) if self.full else MAX_ROWS
        return entries[:room], max(len(entries) - room, 0)

    def _evidence(self, key: str, default: Any) -> Any:  # noqa: ANN401 - JSON values
        return self.of.evidence.get(key) or default


def step_lines(number: int, part: Part, step: Step, paper: Paper) -> list[str]:
    """Print what is done about a component."""
    mark, indent = f"{number:>3}. ", "     "
    survivor = "nothing survives it" if step.survivor is None else f"{part.name(step.survivor)} survives"
    head, *more = paper.item(
        mark, f"{visible(step.component)}  {_kinds(step.kinds)}: {survivor} ({step.confidence.value})"
    )
    lines = [paper.paint(head, "bold", _TINTS[step.confidence]), *more]
    lines += paper.prose(f"why: {part.told(step.why)}", indent)
    lines += _rows(part, paper, indent)
    unread = len(step.guard) - len(part.rows)
    if unread > 0 and part.rows:
        lines += paper.prose(
            f"  {words.counted(unread, 'more row')} of its guids, without a guid as new, stays", indent
        )
    lines += _evidence(part, paper, indent)
    for note in step.notes:
        lines += paper.prose(f"note: {part.told(note)}", indent)
    return lines


def refusal_lines(number: int, part: Part, refused: Refused, paper: Paper) -> list[str]:
    """Print why nothing is done about a component, and how a person decides it."""
    mark, indent = f"{number:>3}. ", "     "
    members = ", ".join(part.name(guid) for guid in refused.members[:_NAMED])
    left = len(refused.members) - _NAMED
    members += f" and {words.counted(left, 'more guid')}" if left > 0 else ""
    head, *more = paper.item(mark, f"{visible(refused.component)}  {_kinds(refused.kinds)} of {members}: refused")
    lines = [paper.paint(head, "bold", "yellow"), *more]
    lines += paper.prose(f"why: {part.told(refused.reason)}", indent)
    lines += _rows(part, paper, indent)
    lines += _evidence(part, paper, indent)
    lines += paper.prose(_deciding(refused), indent)
    return [*lines, f"{indent}  {visible(refused.override_line)}"]


def _deciding(refused: Refused) -> str:
    line = "check the survivor and put this line into a file for --override:"
    if refused.waits_for is None:
        return f"to decide it, {line}"
    return (
        f"decide {visible(refused.waits_for)} first: with that settled, the evidence may decide this one by itself; "
        f"if it does not, {line}"
    )


def _kinds(kinds: Sequence[str]) -> str:
    return " and ".join(visible(kind) for kind in kinds)


def _rows(part: Part, paper: Paper, indent: str) -> Iterator[str]:
    newest = _newest(part)
    # What goes is what a reader looks for; it is never what is cut off.
    ranked = sorted(part.rows, key=lambda row: not row.get("retired"))
    shown, left = part.shown(ranked)
    width = max((len(_row_id(row)) for row in shown), default=0)
    for row in shown:
        text = f"{_row_id(row):<{width}}  {part.name(row['old'])} -> {part.name(row['new'])}"
        if row.get("time"):
            text += f"  {_time(row['time'])}"
        if row is newest:
            text += "  (newest)"
        line = f"{indent}{'-' if row.get('retired') else ' '} {text.strip()}"
        yield paper.paint(line, "red") if row.get("retired") else line
    if left:
        yield f"{indent}  ... and {words.counted(left, 'more row')}, which stay"


def _row_id(row: Json) -> str:
    return "" if row.get("row_id") is None else f"row {visible(row['row_id'], 80)}"


def _newest(part: Part) -> Json | None:
    """Return the newest row where an order of rows is declared and one of them is ahead of all others."""
    key = "row_id" if part.read_from.get("row_id") else "time" if part.read_from.get("time") else None
    dated = [row for row in part.rows if key and row.get(key) is not None]
    if key is None or len(dated) < 2 or len({type(row[key]) for row in dated}) > 1:
        return None
    *_, second, first = sorted(dated, key=lambda row: row[key])
    return first if first[key] != second[key] else None


def _time(text: object) -> str:
    return visible(str(text).removesuffix("Z").replace("T", " ", 1), 40)


def _evidence(part: Part, paper: Paper, indent: str) -> list[str]:
    if not part.candidates and not part.votes:
        return []
    lines = [f"{indent}evidence:"]
    shown, left = part.shown(part.candidates)
    if shown:
        lines += [f"{indent}  {line}" for line in _table(part, shown).splitlines()]
    if left:
        lines.append(f"{indent}  ... and {words.counted(left, 'more candidate')}")
    for vote in part.votes:
        kind = f"{visible(vote['evidence'])} {visible(vote['kind'])} ({visible(vote['strength'])})"
        said = f"{kind}: {part.name(vote['survivor'])}, {part.told(vote['why'])}"
        lines += paper.prose(f"{said}; from {part.places(vote['read_from'])}", indent + "  ")
    if part.full:
        lines += [f"{indent}read from:", *source_lines(part.read_from, paper, indent + "  ")]
    return lines


def source_lines(read: Json, paper: Paper, indent: str) -> list[str]:
    """Print where each kind of evidence was read, one a line."""
    places = [f"{name}: {visible(read[key])}" for key, name in _SOURCES.items() if read.get(key)]
    columns = read.get("references") or []
    if columns:
        places.append(f"references: {', '.join(map(visible, columns))}")
    if not places:
        return paper.prose("nothing is declared that evidence could be read from", indent)
    return [line for place in places for line in paper.prose(place, indent)]


def _table(part: Part, candidates: Sequence[Json]) -> str:
    """Set the candidates in a table; what was read of none of them has no column."""
    facts = {
        "live": [_known(each.get("live")) for each in candidates],
        "type": [_named(part, each.get("type")) for each in candidates],
        "keys": [_known(each.get("keys")) for each in candidates],
        "references": [_references(each.get("references"), full=part.full) for each in candidates],
        "last contact": [
            "" if each.get("last_contact") is None else _time(each["last_contact"]) for each in candidates
        ],
        "owner": [_named(part, each.get("owner")) for each in candidates],
    }
    if not part.full and len(set(facts["type"])) == 1:
        del facts["type"]  # worth a column only where types differ
    told = {head: values for head, values in facts.items() if any(values)}
    names = [part.name(each["guid"]) for each in candidates]
    return aligned(list(zip(names, *told.values(), strict=True)), ("candidate", *told))


def _known(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else visible(value, 40)


def _named(part: Part, value: object) -> str:
    return "" if value is None else visible(part.name(value), 60)


def _references(counts: Mapping[str, int] | None, *, full: bool) -> str:
    if counts is None:
        return ""
    total = f"{sum(counts.values()):,}"
    if not full or not counts:
        return total
    return f"{total} ({', '.join(f'{visible(column)} {count:,}' for column, count in counts.items())})"
