"""Finds, explains, repairs and prevents defects in a table of resource merges.

Everything in ``__all__`` is public. Names are loaded when first used, so that ``import mergeguard`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mergeguard.version import __version__

if TYPE_CHECKING:
    from mergeguard.api import (
        apply,
        build_lookup,
        catalogue,
        catalogue_add,
        check_event,
        current,
        currents,
        discover,
        doctor,
        explain,
        find_duplicates,
        guard_install,
        guard_prove,
        guard_remove,
        guard_status,
        identify,
        journal,
        journal_run,
        load,
        load_plan,
        lookup,
        make_demo,
        make_event,
        merge,
        merge_duplicates,
        merged_resources,
        nightly,
        plan,
        post_event,
        propose_guard_install,
        propose_guard_removal,
        propose_unmerge,
        queue_doctor,
        queue_drop,
        queue_export,
        queue_list,
        queue_parked,
        queue_retry,
        queue_settings,
        queue_show,
        queue_sources,
        queue_status,
        queue_wake,
        read_event,
        resolve,
        save_plan,
        scan,
        serve,
        shared_keys,
        sql_install,
        sql_scripts,
        sql_uninstall,
        undo,
        unmerge,
        verify_lookup,
        write_event,
    )
    from mergeguard.core.events import Event
    from mergeguard.core.findings import Explanation, Finding, Outcome, RowRef, ScanReport, Severity
    from mergeguard.core.graph import MergeGraph
    from mergeguard.core.importing.catalogue import AssociationType, CellType, DataClass, DataColumn
    from mergeguard.core.lookup import Lookup
    from mergeguard.core.nse.message import Message
    from mergeguard.core.repair.evidence import Confidence, Override
    from mergeguard.core.repair.journal import JournalStep, Run
    from mergeguard.core.repair.plan import Action, Plan, Refused, RowChange, Step, TableShape, TargetIdentity
    from mergeguard.errors import ExitCode, MergeGuardError
    from mergeguard.integrity.apply import Applied, ApplyOptions
    from mergeguard.integrity.demo import DemoResult
    from mergeguard.integrity.discover import Proposal
    from mergeguard.integrity.guard import GuardChange, GuardStatus
    from mergeguard.integrity.guard_proof import GuardProof
    from mergeguard.integrity.lookup import Built, Verified
    from mergeguard.integrity.nightly import Nightly, NightlyOptions
    from mergeguard.integrity.planning import PlanOptions
    from mergeguard.integrity.profiles import Overrides, choose_profile
    from mergeguard.integrity.resolve import Resolved
    from mergeguard.integrity.scan import ScanOptions
    from mergeguard.integrity.sql_scripts import Scripts
    from mergeguard.integrity.undo import Undone
    from mergeguard.integrity.unmerge import Unmerge, Unmerged
    from mergeguard.processor.by_hand import ExportedEvents, ShownEvent, WokenEvents
    from mergeguard.processor.doctor import QueueCheck
    from mergeguard.processor.handlers import Handler
    from mergeguard.processor.report import QueueStatistics
    from mergeguard.processor.settings import QueueSettings
    from mergeguard.resources.current import Answer, Currents
    from mergeguard.resources.duplicates import Duplicate, DuplicateOutcome, Duplicates, LeftAlone
    from mergeguard.resources.merged import ColumnMoves, Merged, Refusal
    from mergeguard.resources.merged_resources import MergedResource, MergedResources
    from mergeguard.resources.moved_sources import MovedSource
    from mergeguard.resources.shared_keys import SharedKey, SharedKeys
    from mergeguard.storage.importing.catalogue_file import CatalogueFile, ResourceType
    from mergeguard.storage.importing.making import CatalogueAdded
    from mergeguard.storage.profile import Profile
    from mergeguard.storage.profile_file import builtin_profile, load_profile
    from mergeguard.storage.queue.store import DeadEvent, ParkedEvent
    from mergeguard.storage.source import Options

_HOMES = {
    "mergeguard.api": (
        "apply",
        "build_lookup",
        "catalogue",
        "catalogue_add",
        "check_event",
        "current",
        "currents",
        "discover",
        "doctor",
        "explain",
        "find_duplicates",
        "guard_install",
        "guard_prove",
        "guard_remove",
        "guard_status",
        "identify",
        "journal",
        "journal_run",
        "load",
        "load_plan",
        "lookup",
        "make_demo",
        "make_event",
        "merge",
        "merge_duplicates",
        "merged_resources",
        "nightly",
        "plan",
        "post_event",
        "propose_guard_install",
        "propose_guard_removal",
        "propose_unmerge",
        "queue_doctor",
        "queue_drop",
        "queue_export",
        "queue_list",
        "queue_parked",
        "queue_retry",
        "queue_settings",
        "queue_show",
        "queue_sources",
        "queue_status",
        "queue_wake",
        "read_event",
        "resolve",
        "save_plan",
        "scan",
        "serve",
        "shared_keys",
        "sql_install",
        "sql_scripts",
        "sql_uninstall",
        "undo",
        "unmerge",
        "verify_lookup",
        "write_event",
    ),
    "mergeguard.core.events": ("Event",),
    "mergeguard.core.findings": ("Explanation", "Finding", "Outcome", "RowRef", "ScanReport", "Severity"),
    "mergeguard.core.graph": ("MergeGraph",),
    "mergeguard.errors": ("ExitCode", "MergeGuardError"),
    "mergeguard.core.lookup": ("Lookup",),
    "mergeguard.core.nse.message": ("Message",),
    "mergeguard.integrity.demo": ("DemoResult",),
    "mergeguard.integrity.discover": ("Proposal",),
    "mergeguard.integrity.guard": ("GuardChange", "GuardStatus"),
    "mergeguard.integrity.guard_proof": ("GuardProof",),
    "mergeguard.integrity.lookup": ("Built", "Verified"),
    "mergeguard.integrity.nightly": ("Nightly", "NightlyOptions"),
    "mergeguard.integrity.planning": ("PlanOptions",),
    "mergeguard.integrity.profiles": ("Overrides", "choose_profile"),
    "mergeguard.integrity.resolve": ("Resolved",),
    "mergeguard.integrity.scan": ("ScanOptions",),
    "mergeguard.core.repair.journal": ("JournalStep", "Run"),
    "mergeguard.core.repair.evidence": ("Confidence", "Override"),
    "mergeguard.core.repair.plan": (
        "Action",
        "Plan",
        "Refused",
        "RowChange",
        "Step",
        "TableShape",
        "TargetIdentity",
    ),
    "mergeguard.integrity.apply": ("Applied", "ApplyOptions"),
    "mergeguard.integrity.sql_scripts": ("Scripts",),
    "mergeguard.integrity.undo": ("Undone",),
    "mergeguard.integrity.unmerge": ("Unmerge", "Unmerged"),
    "mergeguard.processor.by_hand": ("ExportedEvents", "ShownEvent", "WokenEvents"),
    "mergeguard.processor.doctor": ("QueueCheck",),
    "mergeguard.processor.handlers": ("Handler",),
    "mergeguard.processor.report": ("QueueStatistics",),
    "mergeguard.processor.settings": ("QueueSettings",),
    "mergeguard.resources.current": ("Answer", "Currents"),
    "mergeguard.resources.duplicates": ("Duplicate", "DuplicateOutcome", "Duplicates", "LeftAlone"),
    "mergeguard.resources.merged_resources": ("MergedResource", "MergedResources"),
    "mergeguard.resources.moved_sources": ("MovedSource",),
    "mergeguard.resources.shared_keys": ("SharedKey", "SharedKeys"),
    "mergeguard.resources.merged": ("ColumnMoves", "Merged", "Refusal"),
    "mergeguard.storage.profile": ("Profile",),
    "mergeguard.storage.profile_file": ("builtin_profile", "load_profile"),
    "mergeguard.storage.importing.catalogue_file": ("CatalogueFile", "ResourceType"),
    "mergeguard.storage.importing.making": ("CatalogueAdded",),
    "mergeguard.core.importing.catalogue": ("AssociationType", "CellType", "DataClass", "DataColumn"),
    "mergeguard.storage.queue.store": ("DeadEvent", "ParkedEvent"),
    "mergeguard.storage.source": ("Options",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Action",
    "Answer",
    "Applied",
    "ApplyOptions",
    "AssociationType",
    "Built",
    "CatalogueAdded",
    "CatalogueFile",
    "CellType",
    "ColumnMoves",
    "Confidence",
    "Currents",
    "DataClass",
    "DataColumn",
    "DeadEvent",
    "DemoResult",
    "Duplicate",
    "DuplicateOutcome",
    "Duplicates",
    "Event",
    "ExitCode",
    "Explanation",
    "ExportedEvents",
    "Finding",
    "GuardChange",
    "GuardProof",
    "GuardStatus",
    "Handler",
    "JournalStep",
    "LeftAlone",
    "Lookup",
    "MergeGraph",
    "MergeGuardError",
    "Merged",
    "MergedResource",
    "MergedResources",
    "Message",
    "MovedSource",
    "Nightly",
    "NightlyOptions",
    "Options",
    "Outcome",
    "Override",
    "Overrides",
    "ParkedEvent",
    "Plan",
    "PlanOptions",
    "Profile",
    "Proposal",
    "QueueCheck",
    "QueueSettings",
    "QueueStatistics",
    "Refusal",
    "Refused",
    "Resolved",
    "ResourceType",
    "RowChange",
    "RowRef",
    "Run",
    "ScanOptions",
    "ScanReport",
    "Scripts",
    "Severity",
    "SharedKey",
    "SharedKeys",
    "ShownEvent",
    "Step",
    "TableShape",
    "TargetIdentity",
    "Undone",
    "Unmerge",
    "Unmerged",
    "Verified",
    "WokenEvents",
    "__version__",
    "apply",
    "build_lookup",
    "builtin_profile",
    "catalogue",
    "catalogue_add",
    "check_event",
    "choose_profile",
    "current",
    "currents",
    "discover",
    "doctor",
    "explain",
    "find_duplicates",
    "guard_install",
    "guard_prove",
    "guard_remove",
    "guard_status",
    "identify",
    "journal",
    "journal_run",
    "load",
    "load_plan",
    "load_profile",
    "lookup",
    "make_demo",
    "make_event",
    "merge",
    "merge_duplicates",
    "merged_resources",
    "nightly",
    "plan",
    "post_event",
    "propose_guard_install",
    "propose_guard_removal",
    "propose_unmerge",
    "queue_doctor",
    "queue_drop",
    "queue_export",
    "queue_list",
    "queue_parked",
    "queue_retry",
    "queue_settings",
    "queue_show",
    "queue_sources",
    "queue_status",
    "queue_wake",
    "read_event",
    "resolve",
    "save_plan",
    "scan",
    "serve",
    "shared_keys",
    "sql_install",
    "sql_scripts",
    "sql_uninstall",
    "undo",
    "unmerge",
    "verify_lookup",
    "write_event",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    if name not in _HOME:
        raise AttributeError(f"module 'mergeguard' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
