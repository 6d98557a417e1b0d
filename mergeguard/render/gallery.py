"""Which pictures of a report are drawn, and what stands above each."""

from __future__ import annotations

from dataclasses import dataclass

from mergeguard.core.findings import Explanation, Finding, Picture, ScanReport
from mergeguard.render import words
from mergeguard.render.text import visible

MAX_PICTURES = 50
"""Pictures in one report; a table with thousands of cycles would fill no page that anybody reads."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture with its title and caption, both fit to show."""

    title: str
    caption: str
    picture: Picture


def drawn(report: ScanReport) -> tuple[list[Frame], int]:
    """Return the first pictures of a report's findings, worst first, and how many more there are."""
    pictured = [finding for finding in report.findings if finding.picture is not None]
    rule_names = {outcome.rule: outcome.name for outcome in report.outcomes}
    frames = [frame(finding, rule_names.get(finding.rule, "")) for finding in pictured[:MAX_PICTURES]]
    return [each for each in frames if each is not None], max(len(pictured) - MAX_PICTURES, 0)


def frame(finding: Finding, name: str) -> Frame | None:
    """Frame a finding's picture; ``None`` where it has none."""
    if finding.picture is None:
        return None
    return Frame(visible(f"{finding.rule} {name}".strip()), visible(finding.message, 200), finding.picture)


def framed(explanation: Explanation) -> Frame:
    """Frame the picture of one guid's component."""
    title = f"{visible(explanation.label, 80)}: {visible(explanation.status)}"
    return Frame(title, visible(explanation.story[0] if explanation.story else "", 200), explanation.picture)


def summary(picture: Picture) -> str:
    """Say in words what a picture shows, for those who do not see it."""
    roles: dict[str, int] = {}
    for node in picture.nodes:
        roles[node.role.value] = roles.get(node.role.value, 0) + 1
    shown = ", ".join(f"{count:,} {role}" for role, count in roles.items())
    more = f"; {words.counted(picture.omitted, 'more guid')} not drawn" if picture.omitted else ""
    return f"{words.counted(len(picture.nodes), 'guid')} ({shown}), {words.counted(len(picture.edges), 'merge')}{more}"
