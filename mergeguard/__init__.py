"""Finds, explains, repairs and prevents defects in a table of resource merges.

Everything in ``__all__`` is public. Names are loaded when first used, so that ``import mergeguard`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mergeguard.version import __version__

if TYPE_CHECKING:
    from mergeguard.api import (
        build_lookup,
        discover,
        doctor,
        explain,
        load,
        lookup,
        make_demo,
        nightly,
        resolve,
        scan,
        verify_lookup,
    )
    from mergeguard.core.findings import Explanation, Finding, Outcome, RowRef, ScanReport, Severity
    from mergeguard.core.graph import MergeGraph
    from mergeguard.core.lookup import Lookup
    from mergeguard.errors import ExitCode, MergeGuardError
    from mergeguard.integrity.demo import DemoResult
    from mergeguard.integrity.discover import Proposal
    from mergeguard.integrity.lookup import Built, Verified
    from mergeguard.integrity.nightly import Nightly, NightlyOptions
    from mergeguard.integrity.profiles import Overrides, choose_profile
    from mergeguard.integrity.resolve import Resolved
    from mergeguard.integrity.scan import ScanOptions
    from mergeguard.storage.profile import Profile
    from mergeguard.storage.profile_file import builtin_profile, load_profile
    from mergeguard.storage.source import Options

_HOMES = {
    "mergeguard.api": (
        "build_lookup",
        "discover",
        "doctor",
        "explain",
        "load",
        "lookup",
        "make_demo",
        "nightly",
        "resolve",
        "scan",
        "verify_lookup",
    ),
    "mergeguard.core.findings": ("Explanation", "Finding", "Outcome", "RowRef", "ScanReport", "Severity"),
    "mergeguard.core.graph": ("MergeGraph",),
    "mergeguard.errors": ("ExitCode", "MergeGuardError"),
    "mergeguard.core.lookup": ("Lookup",),
    "mergeguard.integrity.demo": ("DemoResult",),
    "mergeguard.integrity.discover": ("Proposal",),
    "mergeguard.integrity.lookup": ("Built", "Verified"),
    "mergeguard.integrity.nightly": ("Nightly", "NightlyOptions"),
    "mergeguard.integrity.profiles": ("Overrides", "choose_profile"),
    "mergeguard.integrity.resolve": ("Resolved",),
    "mergeguard.integrity.scan": ("ScanOptions",),
    "mergeguard.storage.profile": ("Profile",),
    "mergeguard.storage.profile_file": ("builtin_profile", "load_profile"),
    "mergeguard.storage.source": ("Options",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Built",
    "DemoResult",
    "ExitCode",
    "Explanation",
    "Finding",
    "Lookup",
    "MergeGraph",
    "MergeGuardError",
    "Nightly",
    "NightlyOptions",
    "Options",
    "Outcome",
    "Overrides",
    "Profile",
    "Proposal",
    "Resolved",
    "RowRef",
    "ScanOptions",
    "ScanReport",
    "Severity",
    "Verified",
    "__version__",
    "build_lookup",
    "builtin_profile",
    "choose_profile",
    "discover",
    "doctor",
    "explain",
    "load",
    "load_profile",
    "lookup",
    "make_demo",
    "nightly",
    "resolve",
    "scan",
    "verify_lookup",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    if name not in _HOME:
        raise AttributeError(f"module 'mergeguard' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
