"""Every setting of the event processor: its name, type, default, limits and words.

What follows from their values is in ``settings``; ``docs/reference/core-settings.md`` is made from the fields here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mergeguard.core.events import INLINE_CHARACTERS
from mergeguard.processor.settings_defaults import NEVER_FILLED_IN, NO_MACHINES_OWN
from mergeguard.processor.settings_entry import DOMAIN, SEED, described

_WEEK: Final = 7 * 86_400
_WEEK_MS: Final = 1000 * _WEEK


@dataclass(frozen=True, slots=True)
class Declared:
    """The settings by name, with the names and defaults that administrators know, in the units of their metadata."""

    # Folders
    event_queue_path: Path = field(
        default=Path("EventQueue"),
        metadata=described(
            "Folder of the queue: payload files in its `EvtQueue`, files to take in in its `EvtInbox`.",
            DOMAIN,
            alias="EventQueuePath",
        ),
    )
    event_failure_backup_folder: Path | None = field(
        default=None,
        metadata=described(
            "Where dead events are written, each with a `.log`; relative to the folder of the queue. "
            "Not set: they stay in the database as dead.",
            SEED,
            alias="EventFailureBackupFolder",
        ),
    )
    event_copy_folder: Path | None = field(
        default=None,
        metadata=described(
            "Where each event is copied before it is processed; relative to the folder of the queue. Not set: no copy.",
            SEED,
            alias="EventCopyFolder",
        ),
    )
    bad_nse_folders: Path | None = field(
        default=None,
        metadata=described(
            "`BadNSEFolders.config`: which sub-folder of the failure backup an exception's events go to.",
            SEED,
            alias="BadNSEFolders",
        ),
    )
    # Limits of what is taken in
    max_file_queue_kb: int = field(
        default=512_000,
        metadata=described(
            "Most bytes, uncompressed, of pending events in files; one that would exceed it is refused. 0: no limit.",
            SEED,
            "KB of 1,024 bytes",
            alias="MaxFileQSize(KB)",
        ),
    )
    inline_characters: int = field(
        default=INLINE_CHARACTERS,
        metadata=described(
            "An event posted with fewer UTF-8 characters lives in its row; larger ones are files.", SEED, "characters"
        ),
    )
    max_body_bytes: int = field(
        default=64 * 1024 * 1024,
        metadata=described("Largest body of a post, as it is sent.", unit="bytes", at_least=1),
    )
    max_inflated_bytes: int = field(
        default=256 * 1024 * 1024,
        metadata=described("Largest event after decompression.", unit="bytes", at_least=1),
    )
    body_seconds: float = field(
        default=60.0,
        metadata=described(
            "A sender that brings less than 1 KB of its post in so long is told *busy*, and its connection is closed.",
            unit="seconds",
            at_least=0.01,
            at_most=_WEEK,
        ),
    )
    # Which queue
    fast_queue_threshold: int = field(
        default=15_000,
        metadata=described("Events below this size go to the fast queue.", DOMAIN, "bytes", alias="FastQueueThreshold"),
    )
    slow_queue_threshold: int = field(
        default=1_048_576,
        metadata=described(
            "Events from this size on go to the slow queue; below it to the normal one.",
            DOMAIN,
            "bytes",
            alias="SlowQueueThreshold",
        ),
    )
    large_queue_threshold: int = field(
        default=20_971_520,
        metadata=described(
            "Events from this size on go to the large queue.", DOMAIN, "bytes", alias="LargeQueueThreshold"
        ),
    )
    priority_queue_threshold: int = field(
        default=1_000,
        metadata=described(
            "Events of this priority or a higher one go to the priority queue, whatever their size.", unit="priority"
        ),
    )
    # Retries
    event_retry_limit: int = field(
        default=3,
        metadata=described(
            "Retries after the first try; with them spent the event is dead.", SEED, "retries", alias="EventRetryLimit"
        ),
    )
    retry_step_milliseconds: int = field(
        default=100,
        metadata=described(
            "Retry number n comes n times this after the failure.", SEED, "milliseconds", at_most=_WEEK_MS
        ),
    )
    registration_retries: int = field(
        default=3,
        metadata=described(
            "Retries of a registration that the database failed to take; then the sender is told *busy*.",
            SEED,
            "retries",
            at_most=100,
        ),
    )
    retry_after_seconds: int = field(
        default=30,
        metadata=described("What a refused sender is told to wait (`Retry-After`).", unit="seconds", at_most=_WEEK),
    )
    # Workers
    priority_threads: int = field(
        default=2, metadata=described("Workers of the priority queue.", unit="threads", at_most=256)
    )
    fast_threads: int = field(
        default=4,
        metadata=described("Workers of the fast queue.", DOMAIN, "threads", alias="MaxConcurrentFastMsgs", at_most=256),
    )
    normal_threads: int = field(
        default=2, metadata=described("Workers of the normal queue.", unit="threads", at_most=256)
    )
    slow_threads: int = field(
        default=1,
        metadata=described("Workers of the slow queue.", DOMAIN, "threads", alias="MaxConcurrentSlowMsgs", at_most=256),
    )
    large_threads: int = field(
        default=1, metadata=described("Workers of the large queue.", unit="threads", at_most=256)
    )
    claim_events: int = field(
        default=512,
        metadata=described("Most events that a worker claims at once.", unit="events", at_least=1, at_most=100_000),
    )
    claim_chains: int = field(
        default=128,
        metadata=described("Most chains that a worker claims at once.", unit="chains", at_least=1, at_most=10_000),
    )
    batch_milliseconds: int = field(
        default=50,
        metadata=described(
            "A batch commits after this time, so that slow events do not hold up the others of their claim.",
            unit="milliseconds",
            at_most=_WEEK_MS,
            at_least=1,
        ),
    )
    handler_seconds: float = field(
        default=600.0,
        metadata=described(
            "An event whose handler takes longer has failed. 0: no limit.", unit="seconds", at_most=_WEEK
        ),
    )
    lease_seconds: float = field(
        default=30.0,
        metadata=described(
            "A chain whose worker is silent for so long is taken over by another one.",
            unit="seconds",
            at_least=0.01,
            at_most=_WEEK,
        ),
    )
    idle_milliseconds: int = field(
        default=200,
        metadata=described(
            "How long a worker without work waits before it asks again.",
            unit="milliseconds",
            at_most=_WEEK_MS,
            at_least=1,
        ),
    )
    sweep_milliseconds: int = field(
        default=1_000,
        metadata=described(
            "How often expired leases and chains due for a retry are looked for.",
            unit="milliseconds",
            at_most=_WEEK_MS,
            at_least=1,
        ),
    )
    probe_seconds: float = field(
        default=1.0,
        metadata=described(
            "While the database is away: how often it is tried.", unit="seconds", at_least=0.01, at_most=_WEEK
        ),
    )
    stop_seconds: float = field(
        default=30.0,
        metadata=described("At a stop, running events get so long to finish.", unit="seconds", at_most=_WEEK),
    )
    # Intake
    registration_group: int = field(
        default=256,
        metadata=described(
            "Most posts that are registered in one transaction.", unit="events", at_least=1, at_most=10_000
        ),
    )
    inbox_rescan_seconds: float = field(
        default=10.0,
        metadata=described(
            "How often the inbox folders are read, besides being watched.", unit="seconds", at_least=0.01, at_most=_WEEK
        ),
    )
    inbox_settle_milliseconds: int = field(
        default=1_000,
        metadata=described(
            "A file in an inbox is complete when it has not changed for so long.", unit="milliseconds", at_most=_WEEK_MS
        ),
    )
    # Importers
    computer_resource_merge_settings: int = field(
        default=0,
        metadata=described(
            "Bits. 1: computers that share a key are not merged. No source says what 2 and 4 do; here nothing.",
            DOMAIN,
            "bits",
            alias="ComputerResourceMergeSettings",
            at_most=7,
        ),
    )
    computer_resource_key_filter: str = field(
        default="",
        metadata=described(
            "Names of keys that no computer is found by, with `;` between them. The keys are kept.",
            DOMAIN,
            alias="ComputerResourceKeyFilter",
        ),
    )
    invalid_mac_addresses: str = field(
        default=NO_MACHINES_OWN,
        metadata=described(
            "Hardware addresses that are not one machine's own, with `;` between them: such a `macaddress` is neither "
            "matched nor kept.",
            DOMAIN,
            alias="InvalidMacAddresses",
        ),
    )
    ignored_key_values: str = field(
        default=NEVER_FILLED_IN,
        metadata=described(
            "Values that stand where nobody filled one in, with `;` between them, compared by letters and digits only. "
            "A key with one of them is neither matched nor kept, and nor is one without letters and digits, or with a "
            "guid of zeros or of Fs.",
        ),
    )
    black_listed_agents: str = field(
        default="map",
        metadata=described(
            "What becomes of events whose source was merged away and is on the black list. `map`: they are those of "
            "what it is now. `refuse`: they are dead, as with the vendor, until the agent has its new guid.",
            choices=("map", "refuse"),
        ),
    )
    logon_event_classes: str = field(
        default="Evt_AeX_Client_LogOn",
        metadata=described(
            "Names or tables of the event classes that a retired computer may send, with `;` between them.", DOMAIN
        ),
    )
    # Looking after itself
    status_interval_seconds: float = field(
        default=60.0,
        metadata=described("How often *Event Queue Status* is written.", unit="seconds", at_least=0.01, at_most=_WEEK),
    )
    status_history_days: int = field(
        default=30,
        metadata=described("How long rows of *Event Queue Status* are kept.", unit="days", at_least=1, at_most=36_500),
    )
    integrity_interval_seconds: float = field(
        default=86_400.0,
        metadata=described(
            "How often a server that imports scans the merges, verifies the lookup and purges event classes. 0: never.",
            unit="seconds",
            at_most=366 * 86_400,
        ),
    )
    integrity_limit_seconds: float = field(
        default=3_600.0,
        metadata=described("Such a scan is given up after this time.", unit="seconds", at_least=1, at_most=_WEEK),
    )
    settings_interval_seconds: float = field(
        default=15.0,
        metadata=described("How often the settings are read again.", unit="seconds", at_least=0.01, at_most=_WEEK),
    )
