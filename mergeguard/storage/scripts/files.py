"""The SQL scripts for people without Python: found in the package, filled with the names of a profile, cut up.

How they are written, and who runs which, is told in ``sql/README.md``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module, resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from mergeguard.errors import PermissionDenied, Unsupported, UsageError
from mergeguard.storage.schema import go_batches, sqlite_statements

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from mergeguard.storage.guard.parts import GuardScript
    from mergeguard.storage.profile import Profile
    from mergeguard.storage.rows.database import DatabaseRows

SCRIPTS_VERSION: Final = 1
"""Of all files together; it grows with each change of what they make."""
DIALECTS: Final = ("sqlite", "postgresql", "mssql")
INSTALLED: Final = range(80)
GUARD: Final = 80
GUARD_FILE: Final = "80_guard.sql"
UNINSTALL: Final = 99
DATA: Final = "99_uninstall_data.sql"
"""Drops the tables that hold data."""
_FILE = re.compile(r"(\d\d)_\w+\.sql")
_MARK = re.compile(r"/\*\{(\w+)\*/(.*?)/\*\}\*/", re.DOTALL)
_GUARD = """\
-- The guard: a trigger on {table} that refuses cycles, whoever writes them, and the one row that each check updates.
-- It touches the vendor's table. The same as 'mergeguard guard install'."""
_KEPT = ("SET ANSI_NULLS ON;\nSET QUOTED_IDENTIFIER ON;",)
"""What a trigger of SQL Server keeps from the session that made it; sqlcmd has one of them off."""
_HEADER = "-- MergeGuard SQL scripts, version {version}: {dialect}/{name}"


@dataclass(frozen=True, slots=True)
class Repointed:
    """A table of declared references: what a merge would have to re-point."""

    table: str
    """As the profile spells it."""
    columns: tuple[str, ...]
    """As the catalogue spells them."""
    plain: bool
    """Whether each row just gets the new guid: nothing is unique, linked or hashed."""
    rules: Mapping[str, Any] = field(default_factory=dict)
    """What must hold in the table, as JSON values; see ``integrity.sql_scripts``."""


class Naming(Protocol):
    """What a module ``scripts.<dialect>`` offers."""

    def names(self, rows: DatabaseRows, profile: Profile) -> Mapping[str, str]:
        """Return the text between each pair of marks, identifiers quoted and qualified."""
        ...


class NamingPlaces(Naming, Protocol):
    """What it offers where the scripts re-point references themselves."""

    def places(self, rows: DatabaseRows, profile: Profile, repointed: Sequence[Repointed]) -> Mapping[str, str]:
        """Return the text of the marks for what a merge re-points."""
        ...


@dataclass(frozen=True, slots=True)
class Script:
    """One file."""

    name: str
    text: str
    dialect: str

    @property
    def number(self) -> int:
        """What its name begins with; it says who runs it."""
        return int(self.name[:2])

    @property
    def marks(self) -> Mapping[str, tuple[str, ...]]:
        """What stands between the marks of each name."""
        found: dict[str, tuple[str, ...]] = {}
        for match in _MARK.finditer(self.text):
            found[match[1]] = (*found.get(match[1], ()), match[2])
        return found

    @property
    def statements(self) -> Sequence[str]:
        """The text cut into what the driver takes at once."""
        if self.dialect == "postgresql":
            return [self.text]
        if self.dialect == "mssql":
            # Without the marks: an ODBC driver looks for escapes behind braces.
            plain = _MARK.sub(lambda match: match[2], self.text)
            return go_batches(plain)
        return list(sqlite_statements(self.text))

    def filled(self, names: Mapping[str, str], profile: str) -> Script:
        """Return the script with other texts between its marks; the first line that follows its own says whose.

        Raises:
            KeyError: a mark has no text; a bug.
        """
        if not self.marks:
            return self
        text = _MARK.sub(lambda match: f"/*{{{match[1]}*/{names[match[1]]}/*}}*/", self.text)
        first, _, rest = text.partition("\n")
        whose = "".join(char if char.isprintable() else " " for char in profile)
        return replace(self, text=f'{first}\n-- Names: profile "{whose}"\n{rest}')


def scripts(dialect: str) -> list[Script]:
    """Return the files of a dialect in the order of their names.

    Raises:
        Unsupported: there are none.
    """
    if dialect not in DIALECTS:
        raise Unsupported(f"there are no SQL scripts for {dialect}", hint=f"there are some for {', '.join(DIALECTS)}")
    found = [
        Script(entry.name, entry.read_text("utf-8").replace("\r\n", "\n"), dialect)
        for entry in (_folder() / dialect).iterdir()
        if _FILE.fullmatch(entry.name)
    ]
    return sorted(found, key=lambda script: script.name)


def names_of(rows: DatabaseRows, profile: Profile, repointed: Sequence[Repointed] = ()) -> Mapping[str, str]:
    """Return the names that a profile gives to what stands between the marks.

    Raises:
        UnknownSchema: a table or a column that it names does not exist.
        Unsupported: the guids of the merge table are of a type that the scripts cannot read.
    """
    module = cast("Naming", import_module(f"mergeguard.storage.scripts.{rows.source.kind}"))
    with rows.source.translated():
        found = module.names(rows, profile)
        if hasattr(module, "places"):
            found = {**found, **cast("NamingPlaces", module).places(rows, profile, repointed)}
    return found


def guard_script(script: GuardScript, dialect: str) -> Script:
    """Return the file that puts the guard on the merge table."""
    end = "\nGO\n" if dialect == "mssql" else ";\n"
    settings = _KEPT if dialect == "mssql" else ()
    body = "\n".join(f"{one}{end}" for one in (*settings, *script.create_table(), *script.create_triggers()))
    text = f"{header(dialect, GUARD_FILE)}\n{_GUARD.format(table=script.place.merge)}\n{body}"
    return Script(GUARD_FILE, text, dialect)


def send(rows: DatabaseRows, files: Sequence[Script]) -> None:
    """Send files in the transaction of ``rows``.

    Raises:
        PermissionDenied, Locked, WriteFailed: a statement failed.
    """
    with rows.source.translated(writing=True):
        cursor = rows.connection.connection.cursor()
        for statement in (statement for script in files for statement in script.statements):
            cursor.execute(statement)
            while getattr(cursor, "nextset", lambda: None)():
                pass  # SQL Server tells of a failure in the middle of a batch only when it is asked for more
        cursor.close()


def save(files: Iterable[Script], folder: Path) -> list[Path]:
    """Write files into a folder, which is made where it is missing; return their paths.

    Raises:
        UsageError: a file stands in the folder's place.
        PermissionDenied: the operating system forbids it.
    """
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for script in files:
            path = folder / script.name
            path.write_text(script.text, "utf-8", newline="\n")
            paths.append(path)
    except (FileExistsError, NotADirectoryError):
        raise UsageError(f"{folder} is no folder", hint="give --output-dir a folder") from None
    except OSError as failure:
        said = failure.strerror or str(failure)
        raise PermissionDenied(f"the folder {folder} cannot be written: {said}", hint="give another one") from failure
    return paths


def header(dialect: str, name: str) -> str:
    """Return the first line of a file."""
    return _HEADER.format(version=SCRIPTS_VERSION, dialect=dialect, name=name)


def _folder() -> Traversable:
    """Find the files: in the wheel they lie within the package, in a checkout beside it."""
    packed = resources.files("mergeguard") / "sql"
    return packed if packed.is_dir() else Path(__file__).parents[3] / "sql"
