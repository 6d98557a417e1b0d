"""The kit for whoever writes merges: real databases, schedules chosen statement by statement, checks that have names.

docs/how-to/test-your-merge.md begins with ten lines; docs/explanation/testing-kit.md says how it works.
"""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("hypothesis") is None:
    raise ImportError("mergeguard.testing needs Hypothesis: pip install 'mergeguard[testing]'", name="hypothesis")
