"""Profiles as TOML text: read with every mistake named, written so that reading gives the same profile back.

The keys a file may hold are the fields of the dataclasses in ``storage.profile``, so a new field is known here at once.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NoReturn, TypeAlias, TypeVar, get_args

from mergeguard.errors import ProfileError
from mergeguard.storage.profile import (
    Association,
    AssociationTypes,
    Blacklist,
    ByteOrder,
    Classes,
    Contact,
    Guarded,
    Hashes,
    Ids,
    Journal,
    Keys,
    Live,
    Lookup,
    Managed,
    Merge,
    Merging,
    Names,
    Owner,
    Profile,
    Reference,
    Sets,
    Types,
)

AnySection: TypeAlias = (
    Merge
    | Lookup
    | Journal
    | Merging
    | Live
    | Types
    | Keys
    | Contact
    | Owner
    | Names
    | Hashes
    | Classes
    | Association
    | AssociationTypes
    | Blacklist
    | Managed
    | Reference
)
Section = TypeVar("Section", bound=AnySection)
_SECTIONS: dict[str, type[AnySection]] = {
    "merge": Merge,
    "lookup": Lookup,
    "journal": Journal,
    "merging": Merging,
    "live": Live,
    "types": Types,
    "keys": Keys,
    "contact": Contact,
    "owner": Owner,
    "names": Names,
    "hashes": Hashes,
    "association_types": AssociationTypes,
    "managed": Managed,
    "blacklist": Blacklist,
}
_LISTS: dict[str, type[AnySection]] = {"associations": Association, "references": Reference}
_EXAMPLES = {
    "associations": '[[associations]]\ntable = "Link"\nparent = "ParentGuid"\nchild = "ChildGuid"',
    "references": '[[references]]\ntable = "Inv_Example"\ncolumn = "_ResourceGuid"',
}
_ALWAYS_WRITTEN = ("table", "old", "new")
_UNSAID = (None, Lookup(), Journal(), Merging())
"""Sections that say what would hold without them."""


def load_profile(path: str | Path) -> Profile:
    """Read a profile file.

    Raises:
        ProfileError: the file is missing, unreadable, not UTF-8, not TOML, or says something that makes no sense.
    """
    try:
        raw = Path(path).read_bytes()
    except FileNotFoundError:
        raise ProfileError(f"profile file {path} does not exist", hint=_missing_hint()) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ProfileError(
            f"profile file {path} cannot be read: {reason}", hint="check the path, and that this account may read it"
        ) from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        message = f"profile file {path} is not UTF-8 text (line {line})"
        raise ProfileError(message, hint="save it as UTF-8; PowerShell's > writes UTF-16") from None
    return loads_profile(text, str(path))


def loads_profile(text: str, origin: str) -> Profile:
    """Read a profile from TOML text; ``origin`` is the file name that messages give.

    A profile without ``name`` is called by the stem of ``origin``.

    Raises:
        ProfileError: with the line of a syntax error, or the table and key of anything else.
    """
    try:
        document = tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, or a number of thousands of digits
        hint = 'texts stand in quotes: key = "value"'
        raise ProfileError(f"{origin} is not valid TOML: {error}", hint=hint) from None
    except RecursionError:
        raise ProfileError(f"{origin} is nested too deeply to be a profile") from None
    return _Reader(origin).profile(document)


def builtin_names() -> tuple[str, ...]:
    """Return the names of the profiles that come with the package."""
    folder = resources.files("mergeguard.storage") / "profiles"
    return tuple(sorted(Path(entry.name).stem for entry in folder.iterdir() if entry.name.endswith(".toml")))


def builtin_profile(name: str) -> Profile:
    """Return a profile that comes with the package, e.g. ``reference``.

    Raises:
        ProfileError: there is none of that name; the hint gives the names there are.
    """
    names = builtin_names()
    if name not in names:
        hint = f"built in: {', '.join(names)}; for a file of your own give its path, ending in .toml"
        raise ProfileError(f"there is no built-in profile {name!r}", hint=hint)
    file = resources.files("mergeguard.storage") / "profiles" / f"{name}.toml"
    return loads_profile(file.read_text("utf-8"), f"{name}.toml")


def dumps_profile(profile: Profile) -> str:
    """Write a profile as TOML text that ``loads_profile`` reads back as the same profile.

    Defaults are left out, but for the names of the merge table and its two columns.

    Raises:
        ProfileError: a name holds half a character (a lone surrogate), which no text file can hold.
    """
    lines = [f"name = {_quoted(profile.name)}"]
    for title in _SECTIONS:
        section = getattr(profile, title)
        if section not in _UNSAID:
            lines += ["", f"[{title}]", *_assignments(section)]
    for title in _LISTS:
        for entry in getattr(profile, title):
            lines += ["", f"[[{title}]]", *_assignments(entry)]
    text = "\n".join(lines) + "\n"
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ProfileError("a name in the profile is not valid text (lone surrogate)") from None
    return text


def profile_document(profile: Profile) -> dict[str, Any]:
    """Return a profile as JSON values: a document that ``profile_from_document`` reads back as the same profile.

    Everything is said, defaults too, so that a plan means the same whatever the defaults will be one day; what is not
    declared is left out.
    """
    sections = {title: getattr(profile, title) for title in _SECTIONS}
    document: dict[str, Any] = {"name": profile.name}
    document |= {title: _document(section) for title, section in sections.items() if section is not None}
    return document | {title: [_document(entry) for entry in getattr(profile, title)] for title in _LISTS}


def profile_from_document(document: Mapping[str, Any], origin: str) -> Profile:
    """Read a profile from the JSON values of ``profile_document``; ``origin`` is what messages call it.

    Raises:
        ProfileError: it says something that makes no sense, with table and key.
    """
    return _Reader(origin).profile(document)


def _document(section: Any) -> dict[str, Any]:  # noqa: ANN401 - any section of a profile
    values = {field.name: getattr(section, field.name) for field in dataclasses.fields(section)}
    return {key: _json(key, value) for key, value in values.items() if value is not None}


def _json(key: str, value: object) -> object:
    if key == "where":
        return dict(value)  # type: ignore[call-overload]
    if isinstance(value, Classes):
        return _document(value)
    return list(value) if isinstance(value, tuple) else value


def _missing_hint() -> str:
    return f"give the path of a .toml file, or the name of a built-in profile: {', '.join(builtin_names())}"


def _nearest(word: str, choices: Iterable[str]) -> str:
    """Return the choice that looks most like the word, however far; one of the same letters before any other."""
    folded = {choice.casefold(): choice for choice in choices}
    shuffled = [choice for choice in folded if sorted(choice) == sorted(word.casefold())]
    return folded[difflib.get_close_matches(word.casefold(), shuffled or folded, n=1, cutoff=0.0)[0]]


class _Reader:
    """Checks a parsed document piece by piece; every refusal says file, table and key."""

    def __init__(self, origin: str) -> None:
        self.origin = origin

    def profile(self, document: Mapping[str, Any]) -> Profile:
        """Build the profile, section by section."""
        self._known(document, [field.name for field in dataclasses.fields(Profile)], "the top level")
        values: dict[str, Any] = {"name": self._text(document.get("name", Path(self.origin).stem), "name")}
        for title, kind in _SECTIONS.items():
            if title in document:
                values[title] = self._section(kind, document[title], f"[{title}]")
        values |= {title: self._list(title, kind, document.get(title, [])) for title, kind in _LISTS.items()}
        self._check_references(values["references"])
        profile = Profile(**values)
        self._check_sets(profile)
        if profile.live is not None:
            self._check_live(profile.live)
        return profile

    def _list(self, title: str, kind: type[AnySection], value: object) -> tuple[AnySection, ...]:
        if not isinstance(value, list):
            self._refuse(f"{title} must be a list of tables", f"write each as\n{_EXAMPLES[title]}")
        return tuple(self._section(kind, entry, f"[[{title}]] number {at}") for at, entry in enumerate(value, 1))

    def _check_references(self, found: Sequence[Reference]) -> None:
        named = [str(reference) for reference in found]
        for at, reference in enumerate(found, 1):
            if named.count(str(reference)) > 1:
                self._refuse(f"[[references]] names {reference} more than once", "its rows would be counted twice")
            if reference.unique and reference.column not in reference.unique:
                message = f"[[references]] number {at} unique does not name {reference.column!r}"
                self._refuse(message, "list all columns of which no two rows may be equal, the reference among them")

    def _check_sets(self, profile: Profile) -> None:
        named = [reference for reference in profile.references if reference.sets == "newest"]
        tells = profile.hashes is not None and (profile.hashes.order or profile.hashes.time)
        if named and not tells:
            hint = "it says which of two resources has the newer data"
            self._refuse(f'[[references]] {named[0]} has sets = "newest", and there is no [hashes] order or time', hint)
        tables = [reference.table for reference in named]
        for reference in named:
            if tables.count(reference.table) > 1:
                self._refuse(f"[[references]] {reference.table} has two columns that say whose data a row is")

    def _section(self, kind: type[Section], value: object, where: str) -> Section:
        if not isinstance(value, dict):
            self._refuse(f"{where} must be a table of keys, not {_kind(value)}", f"write {where} on a line of its own")
        fields = dataclasses.fields(kind)
        self._known(value, [field.name for field in fields], where)
        for field in fields:
            if field.default is dataclasses.MISSING and field.name not in value:
                self._refuse(f"{where} lacks {field.name!r}", f"it needs {_listed(f.name for f in fields)}")
        read: dict[str, Any] = {key: self._value(key, entry, f"{where} {key}") for key, entry in value.items()}
        return kind(**read)

    def _value(self, key: str, value: object, where: str) -> object:
        special: dict[str, Callable[[object, str], object]] = {
            "deleted_values": self._texts,
            "unique": self._texts,
            "where": self._filters,
            "classes": self._classes,
            "ids": lambda value, where: self._choice(value, get_args(Ids), where),
            "sets": lambda value, where: self._choice(value, get_args(Sets), where),
            "guarded": lambda value, where: self._choice(value, get_args(Guarded), where),
            "byte_order": lambda value, where: self._choice(value, get_args(ByteOrder), where),
        }
        return special.get(key, self._text)(value, where)

    def _text(self, value: object, where: str) -> str:
        if not isinstance(value, str):
            self._refuse(f"{where} must be text, not {_kind(value)}", 'texts stand in quotes: "..."')
        if not value.strip():
            self._refuse(f"{where} is empty", "leave the line out where the database has no such thing")
        return str(value)

    def _texts(self, value: object, where: str) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            self._refuse(f"{where} must be a list of texts", 'for example ["Entry Withdrawn", ""]; "" also means NULL')
        return tuple(value)

    def _filters(self, value: object, where: str) -> tuple[tuple[str, str], ...]:
        if not isinstance(value, dict):
            self._refuse(f"{where} must name columns and values", 'for example where = {Status = "Active"}')
        for column, entry in value.items():
            number = isinstance(entry, int) and not isinstance(entry, bool) and abs(entry) < 2**63
            if not isinstance(entry, str) and not number:
                hint = "give the value as the database prints it, in quotes; all are compared as text"
                self._refuse(f"{where} {column!r} must be text or a whole number, not {_kind(entry)}", hint)
        return tuple((column, str(entry)) for column, entry in value.items())

    def _classes(self, value: object, where: str) -> Classes:
        if not isinstance(value, dict):
            hint = 'for example classes = {table = "DataClass", guid = "Guid", name = "TableName"}'
            self._refuse(f"{where} must name a table and two columns, not {_kind(value)}", hint)
        return self._section(Classes, value, where)

    def _choice(self, value: object, choices: tuple[str, ...], where: str) -> str:
        if value not in choices:
            hint = f"it may be {_listed(choices)}"
            self._refuse(f"{where} is {value!r}" if isinstance(value, str) else f"{where} is {_kind(value)}", hint)
        return str(value)

    def _check_live(self, live: Live) -> None:
        if live.query is not None and (live.table or live.guid or live.where):
            self._refuse("[live] has both a query and a table", "keep query alone, or table, guid and where")
        if live.query is None and not (live.table and live.guid):
            self._refuse("[live] needs table and guid, or query", "leave [live] out where nobody knows what is live")

    def _known(self, table: Mapping[str, Any], keys: list[str], where: str) -> None:
        for key in table:
            if key not in keys:
                hint = f"did you mean {_nearest(key, keys)!r}? It knows {_listed(keys)}"
                self._refuse(f"unknown key {key!r} in {where}", hint)

    def _refuse(self, message: str, hint: str | None = None) -> NoReturn:
        raise ProfileError(f"{self.origin}: {message}", hint=hint)


def _kind(value: object) -> str:
    """Name what TOML found in words for people."""
    names = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "a table"}
    return names.get(type(value), "a date or time")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _assignments(section: AnySection) -> list[str]:
    """Write the keys of one table, what is undeclared or a default left out."""
    values = [(field, getattr(section, field.name)) for field in dataclasses.fields(section)]
    return [
        f"{field.name} = {_written(value)}"
        for field, value in values
        if value is not None and (value != field.default or field.name in _ALWAYS_WRITTEN)
    ]


def _written(value: str | Classes | tuple[str, ...] | tuple[tuple[str, str], ...]) -> str:
    """Write a value: a text, a list of texts, or the pairs of ``where`` or a part as an inline table."""
    if isinstance(value, Classes):
        return f"{{{', '.join(_assignments(value))}}}"
    if isinstance(value, str):
        return _block(value) if "\n" in value else _quoted(value)
    pairs = [f"{_quoted(entry[0])} = {_quoted(entry[1])}" for entry in value if isinstance(entry, tuple)]
    texts = [_quoted(entry) for entry in value if isinstance(entry, str)]
    return f"{{{', '.join(pairs)}}}" if pairs else f"[{', '.join(texts)}]"


def _quoted(text: str) -> str:
    """Write a TOML basic string."""
    return f'"{"".join(map(_escaped, text))}"'


def _block(text: str) -> str:
    """Write a TOML multi-line string, so that a query stays readable."""
    lines = "\n".join("".join(map(_escaped, line)) for line in text.split("\n"))
    # A quote may stand bare there unless another quote, or the end, follows it.
    return '"""\n' + re.sub(r'\\"(?!\\"|\Z)', '"', lines) + '"""'


def _escaped(character: str) -> str:
    if character in ('"', "\\"):
        return "\\" + character
    return f"\\u{ord(character):04x}" if character < " " or character == "\x7f" else character
