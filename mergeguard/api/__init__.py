"""What a Python program calls; the command line calls nothing else.

Every function takes a target as the commands do: a SQLAlchemy URL, a ``.db`` file, or a ``.csv``, ``.tsv``, ``.csv.gz``
or ``.parquet`` file. ``profile`` is a ``Profile``, the path of a profile file or the name of a built-in one; without it
databases are read by the reference schema's profile. All raise ``MergeGuardError``: ``UsageError`` for what the caller
got wrong, ``CannotCheck`` where the target could not be read.
"""

from __future__ import annotations

from mergeguard.api.cataloguing import catalogue, catalogue_add
from mergeguard.api.nse import check_event, make_event, read_event, write_event
from mergeguard.api.opened import ProfileLike
from mergeguard.api.queueing import (
    queue_doctor,
    queue_drop,
    queue_export,
    queue_list,
    queue_parked,
    queue_retry,
    queue_settings,
    queue_show,
    queue_status,
    queue_wake,
)
from mergeguard.api.reading import (
    current,
    currents,
    discover,
    doctor,
    explain,
    load,
    lookup,
    resolve,
    scan,
    verify_lookup,
)
from mergeguard.api.repairing import (
    apply,
    identify,
    journal,
    journal_run,
    load_plan,
    nightly,
    plan,
    propose_unmerge,
    save_plan,
    undo,
    unmerge,
)
from mergeguard.api.resources import (
    find_duplicates,
    merge_duplicates,
    merged_resources,
    queue_sources,
    shared_keys,
)
from mergeguard.api.serving import post_event, serve
from mergeguard.api.sql import sql_install, sql_scripts, sql_uninstall
from mergeguard.api.writing import (
    build_lookup,
    guard_install,
    guard_prove,
    guard_remove,
    guard_status,
    make_demo,
    merge,
    propose_guard_install,
    propose_guard_removal,
)

__all__ = [
    "ProfileLike",
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
]
