"""The last line of defence: a bug ends in a file, never on the screen, and no output holds a password."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from mergeguard.version import __version__

_SECRETS: set[str] = set()


def keep_out(*secrets: str | None) -> None:
    """Remember what must not stand in any message; a crash knows of nothing else where a password came from."""
    _SECRETS.update(secret for secret in secrets if secret)


def clean(text: str) -> str:
    """Return a message without passwords and with control characters spelt out, line by line."""
    from mergeguard.render.text import visible
    from mergeguard.storage.secrets import passwords, scrub

    typed = {secret for argument in sys.argv[1:] for secret in passwords(argument)}
    named = {value for name, value in os.environ.items() if "PASS" in name.upper() and value}
    return "\n".join(visible(line) for line in scrub(text, _SECRETS | typed | named).splitlines())


def report(error: BaseException) -> str:
    """Write the traceback to a file that only this user can read, and return where it is.

    Raises:
        OSError: there is no place for such a file.
    """
    import traceback

    from mergeguard.storage.secrets import masked

    called = " ".join(masked(argument) for argument in sys.argv[1:])
    story = clean("".join(traceback.format_exception(error)))
    descriptor, path = tempfile.mkstemp(prefix="mergeguard-crash-", suffix=".txt")
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(f"mergeguard {__version__}, Python {sys.version}\narguments: {clean(called)}\n\n{story}\n")
    return str(Path(path))
