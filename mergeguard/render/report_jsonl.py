"""A report as JSON lines: a header, a finding a line, a summary; ``mergeguard/schemas/report-line-1.json``.

A reader that never sees the summary line knows that the file was cut off.
"""

from __future__ import annotations

import json

from mergeguard.core.findings import ScanReport
from mergeguard.render import plain
from mergeguard.render.plain import Json


def render_scan(report: ScanReport) -> str:
    """Write a report as JSON lines in ASCII."""
    found = plain.findings(report)
    lines: list[dict[str, Json]] = [{"kind": "scan", **plain.head(report)}]
    lines += [{"kind": "finding", **each} for each in found]
    lines.append({"kind": "summary", **plain.results(report), "listed": len(found)})
    return "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines)
