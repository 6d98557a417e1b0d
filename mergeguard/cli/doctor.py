"""``mergeguard doctor``: can this target be scanned, and how safely?"""

from __future__ import annotations

import typer

from mergeguard.cli import terminal
from mergeguard.cli.options import Chosen, with_target
from mergeguard.errors import ExitCode


@with_target()
def doctor(chosen: Chosen) -> None:
    """Check driver, version, permissions, isolation and profile of TARGET; exit 3 if anything would stop a scan."""
    from mergeguard import api
    from mergeguard.render.checks import checks_text

    rows = api.doctor(chosen.target, chosen.profile, options=chosen.options)
    terminal.write(checks_text(rows), terminal.STDOUT)
    raise typer.Exit(ExitCode.CLEAN if all(fine for _, _, fine in rows) else ExitCode.UNCHECKED)
