"""What discovery proposes, as text: the profile, why each line of it, and the columns that hold guids."""

from __future__ import annotations

from collections.abc import Iterator

from mergeguard.integrity.discover import Proposal
from mergeguard.render.table import aligned
from mergeguard.render.text import visible
from mergeguard.storage.profile_file import dumps_profile


def proposal_text(found: Proposal) -> str:
    """Write a proposal for a person; the profile part can be saved as it stands."""
    sections = [_profile(found), _evidence(found), _candidates(found), _notes(found)]
    return "\n".join(section for section in sections if section)


def _profile(found: Proposal) -> str:
    if found.profile is None:
        return "No table of merges was found.\n"
    head = (
        "# Proposed profile: read it over, save it with --output FILE,\n# then: mergeguard scan TARGET --profile FILE\n"
    )
    return head + dumps_profile(found.profile)


def _evidence(found: Proposal) -> str:
    lines = [line for item in found.evidence for line in _because(item.role, item.choice, item.chosen, item.reasons)]
    return "".join(f"# {line}\n" for line in ["Evidence", *lines]) if lines else ""


def _because(role: str, choice: str, chosen: bool, reasons: tuple[str, ...]) -> Iterator[str]:
    yield f"  {visible(role)}: {visible(choice)}{'' if chosen else ' (not chosen)'}"
    for reason in reasons:
        yield f"    {visible(reason)}"


def _candidates(found: Proposal) -> str:
    if not found.candidates:
        return ""
    rows = [
        (
            visible(str(item.reference)),
            visible(item.type),
            f"{item.found} of {item.sampled}",
            str(item.merged),
            "yes" if item.proposed else "no",
            visible("; ".join(item.reasons)),
        )
        for item in found.candidates
    ]
    heads = ("column", "type", "known", "merged away", "proposed", "because")
    table = aligned(rows, heads)
    return "# Columns that seem to hold resource guids\n" + "".join(f"#   {line}\n" for line in table.splitlines())


def _notes(found: Proposal) -> str:
    return "".join(f"# note: {visible(note)}\n" for note in found.notes)
