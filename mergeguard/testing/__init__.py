"""The kit for whoever writes merges: real databases, schedules chosen statement by statement, checks that have names.

docs/how-to/test-your-merge.md begins with ten lines; docs/explanation/testing-kit.md says how it works.
"""

from __future__ import annotations

from mergeguard.testing import needed  # noqa: F401 - first: it says which extra to install
from mergeguard.testing.checks import CHECKS
from mergeguard.testing.history import Fault, History, Step
from mergeguard.testing.kit import MergeIsWrong, check_merges, check_walks
from mergeguard.testing.rings import LEVELS, Case, cases, ring_of, rings
from mergeguard.testing.sandbox import Sandbox
from mergeguard.testing.scheduler import Planned, Scheduler, Stuck, TooManySteps
from mergeguard.testing.search import Found, Search, Tally
from mergeguard.testing.sqlite_sandbox import SqliteSandbox
from mergeguard.testing.systems import OwnMerge, PlainMerge, Refused, System, schedulable

__all__ = [
    "CHECKS",
    "LEVELS",
    "Case",
    "Fault",
    "Found",
    "History",
    "MergeIsWrong",
    "OwnMerge",
    "PlainMerge",
    "Planned",
    "Refused",
    "Sandbox",
    "Scheduler",
    "Search",
    "SqliteSandbox",
    "Step",
    "Stuck",
    "System",
    "Tally",
    "TooManySteps",
    "cases",
    "check_merges",
    "check_walks",
    "ring_of",
    "rings",
    "schedulable",
]
