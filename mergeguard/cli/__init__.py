"""The command line: one file a command, flags to one call to rendering. ``main`` is the console script."""

from mergeguard.cli.app import main

__all__ = ["main"]
