"""A report as one JSON document; its schema is ``mergeguard/schemas/report-1.json``."""

from __future__ import annotations

import json

from mergeguard.core.findings import ScanReport
from mergeguard.render import plain


def render_scan(report: ScanReport) -> str:
    """Write a report as JSON in ASCII, so that any console, pipe and editor keeps it whole."""
    document = {**plain.head(report), **plain.results(report), "findings": plain.findings(report)}
    return json.dumps(document, indent=2, allow_nan=False) + "\n"
