"""Which commands there are, told without importing them: a call builds the one that it asks for, a help page none."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import typer

from mergeguard.cli import help  # noqa: A004 - the module of the help pages


@dataclass(frozen=True, slots=True)
class Listed:
    """One command: its name, which is that of its module and of the function in it, and what it does."""

    name: str
    summary: str
    """The first paragraph of its help page."""
    group: bool = False
    """Whether it has commands of its own: its module holds a typer ``app``."""

    def build(self) -> Any:  # noqa: ANN401 - click's class, of which typer has a copy of its own by now
        """Import the command and return it as click has it."""
        module = importlib.import_module(f"mergeguard.cli.{self.name}")
        around = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        if self.group:
            around.add_typer(module.app, name=self.name)
        else:
            around.command(self.name, cls=help.Command)(getattr(module, self.name))
        return typer.main.get_group(around).commands[self.name]


COMMANDS = (
    Listed("scan", "Check every rule over one read-only snapshot of TARGET; nothing is written to it."),
    Listed(
        "nightly",
        "Scan TARGET, keep the night in the history, write reports and metrics; with --repair safe repair as well.",
    ),
    Listed("explain", "Say in words, as a path and as a picture where one guid of TARGET leads and why."),
    Listed(
        "resolve", "Answer guid, current, depth and status for each guid; exit 1 if any has no current guid to act on."
    ),
    Listed(
        "plan",
        "Write down how TARGET would be repaired; nothing is changed. Exit 1 if a person must decide some of it.",
    ),
    Listed(
        "show",
        "Show what a plan would do, component by component; no database is opened. An expired plan can be shown too.",
    ),
    Listed("apply", "Carry out PLAN: one short transaction a component, journalled; 'mergeguard undo' takes it back."),
    Listed(
        "repair",
        "Plan the repair of TARGET, show the plan, ask, apply it and check. Exit 1 if a person must decide some of it.",
    ),
    Listed(
        "undo", "Put back what a run of 'apply' or 'unmerge' changed in TARGET: every row as it was, or nothing at all."
    ),
    Listed("merge", "Merge resource OLD of TARGET into resource NEW, in one transaction that cannot close a cycle."),
    Listed(
        "unmerge",
        "Take one merge of TARGET back: GUID is itself again, and so are the references that the journal knows of.",
    ),
    Listed(
        "journal",
        "List what MergeGuard did to TARGET: runs with who, when and why; of one run, its steps with rule and rows.",
    ),
    Listed(
        "merges",
        "List the merged resources of TARGET, the newest first: old, current, time, and which key, rule or person.",
    ),
    Listed(
        "keys",
        "List the key values that several live resources of TARGET share, those with the most resources first.",
    ),
    Listed(
        "duplicates",
        "Find an unmanaged resource of TARGET that a managed one is by its serial number, system number or barcode.",
    ),
    Listed(
        "guard",
        "Install, look at, try or remove the guard: a trigger that refuses cycles, whoever writes them.",
        group=True,
    ),
    Listed("sql", "Show, install or remove what MergeGuard does, as SQL for people without Python.", group=True),
    Listed(
        "serve",
        "Take events in over HTTP and from folders, and handle them, until SIGTERM or Ctrl-C; "
        "its tables are in TARGET.",
    ),
    Listed("post", "Post events to a server, in the order given, each as often as it takes; prints the id of each."),
    Listed("nse", "Make events from a description, and check those that are there, without a server.", group=True),
    Listed(
        "queue",
        "See how the event queue is, what waits in it, what died and why; retry, drop or export dead events.",
        group=True,
    ),
    Listed(
        "catalogue",
        "See and extend what importers take: resource types, association types, data classes with their tables.",
        group=True,
    ),
    Listed("lookup", "Build, verify or export the lookup: the derived table old -> current.", group=True),
    Listed(
        "history",
        "Show the nights that 'scan --remember' kept: counts, and which findings are new, fixed or recurring.",
    ),
    Listed(
        "discover",
        "Look TARGET over and propose a profile, with the evidence for each line; exit 1 if no merge table is found.",
    ),
    Listed(
        "doctor",
        "Check driver, version, permissions, isolation and profile of TARGET; exit 3 if anything would stop a scan.",
    ),
    Listed("config", "Show the settings in force.", group=True),
    Listed(
        "demo",
        "Create an SQLite database with the reference schema and the merges of the tz history, "
        "three real cycles in it.",
    ),
)
"""In the order of the help page: the nightly work first, what sets it up after it."""


class Commands(Mapping[str, Any]):
    """All commands by name, each imported when it is asked for."""

    def __init__(self) -> None:
        self._listed = {each.name: each for each in COMMANDS}
        self._built: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - click's class
        """Return a command."""
        if name not in self._built:
            self._built[name] = self._listed[name].build()
        return self._built[name]

    def __contains__(self, name: object) -> bool:
        """Say whether there is such a command."""
        return name in self._listed

    def __iter__(self) -> Iterator[str]:
        """Yield the names."""
        return iter(self._listed)

    def __len__(self) -> int:
        """Return how many commands there are."""
        return len(self._listed)


class Program(help.Group):
    """The command of all commands."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - what typer passes on to click
        super().__init__(**options)
        self.commands: Any = Commands()

    def list_commands(self, ctx: help.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of the commands."""
        return list(self.commands)

    def summaries(self, ctx: help.Context) -> list[help.Row]:  # noqa: ARG002 - as of a group
        """Return what each command does, of which none is imported."""
        return [(each.name, each.summary) for each in COMMANDS]
