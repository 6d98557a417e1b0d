"""Typed use of everything that ``mergeguard`` exports: checked by mypy, and run on the demo database by a test."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import assert_type

import mergeguard
from mergeguard import (
    Action,
    Answer,
    Applied,
    ApplyOptions,
    AssociationType,
    Built,
    CatalogueAdded,
    CatalogueFile,
    CellType,
    ColumnMoves,
    Confidence,
    Currents,
    DataClass,
    DataColumn,
    DeadEvent,
    DemoResult,
    Duplicate,
    DuplicateOutcome,
    Duplicates,
    Event,
    ExitCode,
    Explanation,
    ExportedEvents,
    Finding,
    GuardChange,
    GuardProof,
    GuardStatus,
    Handler,
    JournalStep,
    LeftAlone,
    Lookup,
    Merged,
    MergedResource,
    MergedResources,
    MergeGraph,
    MergeGuardError,
    Message,
    MovedSource,
    Nightly,
    NightlyOptions,
    Options,
    Outcome,
    Override,
    Overrides,
    ParkedEvent,
    Plan,
    PlanOptions,
    Profile,
    Proposal,
    QueueCheck,
    QueueSettings,
    QueueStatistics,
    Refusal,
    Refused,
    Resolved,
    ResourceType,
    RowChange,
    RowRef,
    Run,
    ScanOptions,
    ScanReport,
    Scripts,
    Severity,
    SharedKey,
    SharedKeys,
    ShownEvent,
    Step,
    TableShape,
    TargetIdentity,
    Undone,
    Unmerge,
    Unmerged,
    Verified,
    WokenEvents,
)
from mergeguard.core.guids import from_uuids, to_uuids
from mergeguard.errors import MalformedEvent
from mergeguard.processor.handlers import EventBatch


def make(folder: Path) -> tuple[Path, uuid.UUID]:
    """Create the demo database; return it and a guid on a cycle."""
    made: DemoResult = mergeguard.make_demo(folder)
    assert_type(made.database, Path)
    assert_type(made.example, uuid.UUID)
    return made.database, made.example


def choose(database: Path, file: Path) -> Profile:
    """Choose a profile in each way there is; all name the same table."""
    builtin: Profile = mergeguard.builtin_profile("reference")
    chosen: Profile = mergeguard.choose_profile(str(database))
    corrected = mergeguard.choose_profile(str(database), builtin, Overrides(lookup_table=builtin.lookup.table))
    proposal: Proposal = mergeguard.discover(database)
    discovered = proposal.profile
    assert_type(discovered, Profile | None)
    assert discovered is not None
    file.write_text('[merge]\ntable = "ResourceMerge"\n', encoding="utf-8")
    loaded: Profile = mergeguard.load_profile(file)
    assert loaded.merge.table == discovered.merge.table == chosen.merge.table
    assert builtin == chosen == corrected
    return chosen


def scan(database: Path, profile: Profile) -> ScanReport:
    """Scan with every option that a call takes, and look at everything that it answers."""
    phases: list[str] = []

    def progress(phase: str, _done: int, _total: int | None) -> None:
        phases.append(phase)

    wanted = ScanOptions(skip=["chain"], max_findings=100)
    report = mergeguard.scan(
        database, profile, scan_options=wanted, options=Options(lock_timeout=1.0), progress=progress
    )
    assert_type(report, ScanReport)
    assert phases
    outcome: Outcome = report.outcomes[0]
    finding: Finding = outcome.findings[0]
    row: RowRef = finding.rows[0]
    assert_type(finding.path, tuple[uuid.UUID, ...])
    assert_type(row.old, uuid.UUID)
    assert_type(report.count(Severity.ERROR), int)
    assert finding.severity is Severity.ERROR
    return report


def explain(database: Path, guid: uuid.UUID) -> Explanation:
    """Explain a guid, given as an object or as a text."""
    told: Explanation = mergeguard.explain(database, guid)
    assert mergeguard.explain(database, str(guid).upper()).story == told.story
    assert_type(told.current, uuid.UUID | None)
    return told


def resolve(database: Path, guid: uuid.UUID) -> list[Resolved]:
    """Resolve guids, objects and texts mixed."""
    answers = mergeguard.resolve(database, [guid, str(guid), "no guid"], "reference")
    assert_type(answers, list[Resolved])
    assert_type(answers[0].depth, int | None)
    return answers


def load(database: Path, guid: uuid.UUID) -> MergeGraph:
    """Load the table as a networkx graph that answers from its arrays too, and knows of no liveness."""
    graph: MergeGraph = mergeguard.load(database)
    cycles: list[list[uuid.UUID]] = graph.cycles()
    now: uuid.UUID | None = graph.current(guid)
    assert now is None
    assert any(guid in cycle for cycle in cycles)
    return graph


def look_up(database: Path) -> tuple[Lookup, Built, Verified]:
    """Work out the lookup, store it, hold it against the rows."""
    lookup: Lookup = mergeguard.lookup(database)
    for old, current, depth, status in lookup:
        assert_type(old, uuid.UUID)
        assert_type(current, uuid.UUID | None)
        assert_type(depth, int | None)
        assert_type(status, str)
        assert lookup.get(old) == (current, depth, status)
    built: Built = mergeguard.build_lookup(database)
    verified: Verified = mergeguard.verify_lookup(database)
    return lookup, built, verified


def extend_catalogue(database: Path) -> CatalogueAdded:
    """See what importers take, and add a data class with its table."""
    known: CatalogueFile = mergeguard.catalogue(database)
    types: tuple[ResourceType, ...] = known.types
    links: tuple[AssociationType, ...] = known.associations
    column = DataColumn("MAC", CellType.TEXT, 20, nullable=False, key=True)
    guid = uuid.UUID(int=1)
    one = DataClass(guid, "Network card", "Inv_Network_Card", multi_row=True, event=False, columns=(column,))
    added: CatalogueAdded = mergeguard.catalogue_add(database, CatalogueFile(types, links, (*known.classes, one)))
    assert (added.types, added.associations, added.classes) == ((), (), (one,))
    return added


def tell_resources(database: Path) -> MergedResources:
    """Ask which resources share keys, which are one, and which became one."""
    shared: SharedKeys = mergeguard.shared_keys(database, names=["name"])
    keys: tuple[SharedKey, ...] = shared.keys
    assert shared.values >= len(keys)
    found: Duplicates = mergeguard.find_duplicates(database, by=["serialnumber"])
    pairs: tuple[Duplicate, ...] = found.pairs
    left: tuple[LeftAlone, ...] = found.left
    made: Sequence[DuplicateOutcome] = mergeguard.merge_duplicates(database, pairs)
    assert (len(made), left) == (len(pairs), found.left)
    told: MergedResources = mergeguard.merged_resources(database, limit=5)
    merges: tuple[MergedResource, ...] = told.merges
    assert len(merges) <= told.rows
    moved: Sequence[MovedSource] = ()
    with suppress(MergeGuardError):  # there is no queue in the demonstration
        moved = mergeguard.queue_sources(database)
    assert not moved
    return told


def exchange_events(database: Path) -> Message:
    """Write an event, read it, and check it against the catalogue of a database."""
    made: bytes = mergeguard.make_event('to = "1592b913-72f3-4c36-91d2-d4eda21d2f96"')
    message: Message = mergeguard.read_event(made)
    written: bytes = mergeguard.write_event(message)
    assert mergeguard.check_event(written, database) == message
    return message


def doctor(database: Path) -> Sequence[tuple[str, str, bool]]:
    """Ask what this installation and this target can do."""
    return mergeguard.doctor(database)


def plan(database: Path, file: Path) -> Plan:
    """Plan a repair by everything that decides it, keep it in a file, and look at what it holds."""
    nobody: dict[str, Override] = {}
    wanted = PlanOptions(accept_medium=True, overrides=nobody)
    mergeguard.save_plan(mergeguard.plan(database, plan_options=wanted), file)
    made = mergeguard.load_plan(file)
    assert_type(made, Plan)
    step: Step = made.steps[0]
    change: RowChange = step.changes[0]
    assert (step.confidence, change.action) == (Confidence.CERTAIN, Action.RETIRE)
    refused: Refused = made.refused[0]
    shape: TableShape = made.tables[0]
    identity: TargetIdentity = mergeguard.identify(database)
    assert (refused.members, shape.table, made.target) == (refused.members, "ResourceMerge", identity)
    return made


def repair(database: Path, file: Path) -> tuple[Applied, Undone]:
    """Apply the plan in a file, look at the journal, take the run back."""
    applied = mergeguard.apply(file, database, apply_options=ApplyOptions(rate=10_000.0))
    assert_type(applied.locked_at(0.99), float)
    runs: list[Run] = mergeguard.journal(database)
    run, steps = mergeguard.journal_run(database, runs[0].run_id)
    assert_type(run, Run)
    assert_type(steps, list[JournalStep])
    assert len(steps) == applied.applied == run.steps
    undone: Undone = mergeguard.undo(database, run.run_id, reason="shown")
    return applied, undone


def unmerge(database: Path) -> Unmerged:
    """Take one merge back once it was looked at."""
    old = next(old for old, _, depth, status in mergeguard.lookup(database) if (depth, status) == (1, "ok"))
    proposal = mergeguard.propose_unmerge(database, old)
    assert_type(proposal, Unmerge)
    return mergeguard.unmerge(database, proposal, reason="shown")


def merge(database: Path) -> Merged:
    """Look at a merge, make it, and ask what both guids are now."""
    answers = mergeguard.resolve(database, [guid for guid, _, _, _ in mergeguard.lookup(database)])
    [new, old, *_] = sorted({answer.current for answer in answers if answer.depth == 1 and answer.current}, key=str)
    seen: Merged = mergeguard.merge(database, old, new, preview=True)
    refusal: Refusal | None = seen.refused
    assert (refusal, seen.run_id) == (None, None)
    made = mergeguard.merge(database, old, new, request_id="shown")
    moves: list[ColumnMoves] = [*made.columns.values()]
    assert sum(column.changed for column in moves) == made.rows_moved
    answer: Answer = mergeguard.current(database, old)
    asked = from_uuids([old, new])
    found: Currents = mergeguard.currents(database, asked)
    assert to_uuids(found.currents) == [answer.current, new] == [new, new]
    return made


def guard(database: Path) -> GuardProof:
    """Put the guard up, see it refuse, take it down."""
    proposed: GuardChange = mergeguard.propose_guard_install(database)
    assert proposed.needed
    assert mergeguard.guard_install(database).statements == proposed.statements
    status: GuardStatus = mergeguard.guard_status(database)
    assert status.ok
    proof: GuardProof = mergeguard.guard_prove(database)
    assert mergeguard.propose_guard_removal(database).needed
    mergeguard.guard_remove(database)
    return proof


def nightly(database: Path, folder: Path) -> Nightly:
    """Let a night pass."""
    night: Nightly = mergeguard.nightly(database, nightly_options=NightlyOptions(reports=folder))
    assert_type(night.code, ExitCode)
    return night


def by_sql(database: Path) -> Scripts:
    """Do without Python: put the scripts in, take them out."""
    shown: Scripts = mergeguard.sql_scripts(database)
    assert mergeguard.sql_install(database).installed == shown.installed
    mergeguard.sql_uninstall(database)
    return shown


class Refusing:
    """A handler that can read nothing."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop

    def handle(self, event: Event, body: bytes, batch: EventBatch) -> None:  # noqa: ARG002 - what a handler is given
        """Refuse an event for good."""
        self._stop.set()
        raise MalformedEvent(f"{len(body)} bytes that say nothing")


def take_in(folder: Path) -> Path:
    """Let one event in, and let it fail."""
    folder.mkdir()
    database, config, stop, urls = folder / "queue.db", folder / "mergeguard.toml", threading.Event(), list[str]()
    config.write_text(f"[event_queue]\nevent_queue_path = '{folder / 'EventQueue'}'\n", "utf-8")
    is_up = threading.Event()

    def started(url: str | None) -> None:
        urls.append(url or "")
        is_up.set()

    handler: Handler = Refusing(stop)
    with ThreadPoolExecutor() as pool:
        serving = pool.submit(
            mergeguard.serve, f"sqlite:///{database}", stop, port=0, handler=handler, config=config, started=started
        )
        while not is_up.wait(0.1):
            if serving.done():
                serving.result()
        said: str = mergeguard.post_event(b"<message/>", url=urls[0], priority=1)
        assert said.startswith("event ")
        assert serving.result()
    return database


def tend(database: Path, folder: Path) -> Sequence[QueueCheck]:
    """Look at the dead event, save it, try it again."""
    settings: QueueSettings = mergeguard.queue_settings(folder / "mergeguard.toml")
    statistics: QueueStatistics = mergeguard.queue_status(database, settings=settings)
    assert not statistics.stranded
    waiting, dead = mergeguard.queue_list(database, parked=False)
    assert_type(waiting, Sequence[Event | ParkedEvent])
    assert_type(dead, Sequence[DeadEvent])
    assert not waiting
    parked: Sequence[ParkedEvent] = mergeguard.queue_parked(database)
    woken: WokenEvents = mergeguard.queue_wake(database)
    assert (len(parked), woken.left, woken.woken) == (0, 0, ())
    shown: ShownEvent = mergeguard.queue_show(database, dead[0].event.id, settings=settings)
    assert shown.body == b"<message/>"
    exported: ExportedEvents = mergeguard.queue_export(database, folder / "saved", settings=settings)
    assert len(exported.files) == 2  # the event and its .log
    mergeguard.queue_drop(database, shown.event.id, settings=settings)
    try:
        assert_type(mergeguard.queue_retry(database, shown.event.id), int)
    except MergeGuardError as error:
        gone = error.exit_code
    assert gone is ExitCode.USAGE
    return mergeguard.queue_doctor(database, settings=settings)


def fail(nowhere: Path) -> ExitCode:
    """Catch what any call may raise: a message for people, a hint, an exit code."""
    try:
        mergeguard.scan(nowhere)
    except MergeGuardError as error:
        assert_type(error.message, str)
        assert_type(error.hint, str | None)
        return error.exit_code
    return ExitCode.CLEAN


def main(folder: Path) -> None:
    """Use everything once."""
    database, example = make(folder)
    profile = choose(database, folder / "discovered.toml")
    report = scan(database, profile)
    assert report.tool_version == mergeguard.__version__
    # One member of the cycle is live, so the lookup knows what the other one is now.
    assert explain(database, example).status == "ok"
    assert [answer.status for answer in resolve(database, example)] == ["ok", "ok", "malformed"]
    graph = load(database, example)
    assert graph.has_node(example)
    lookup, built, verified = look_up(database)
    assert len(lookup) == built.rows == verified.rows == report.guids
    assert built.created
    assert verified.drift == 0
    assert all(fine for _, _, fine in doctor(database))
    planned = plan(database, folder / "plan.json")
    applied, undone = repair(database, folder / "plan.json")
    assert applied.steps == undone.steps == len(planned.steps)
    assert unmerge(database).rows == 1
    assert merge(database).lookup_rows
    assert not extend_catalogue(database).nothing
    assert tell_resources(database).rows
    assert exchange_events(database).recipient
    assert guard(database).holds
    assert by_sql(database).kind == "sqlite"
    assert nightly(database, folder / "reports").files
    assert all(check.fine for check in tend(take_in(folder / "queue"), folder / "queue"))
    assert fail(folder / "nowhere.db") is ExitCode.UNCHECKED
