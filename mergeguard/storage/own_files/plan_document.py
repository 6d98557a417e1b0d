"""Turns a plan into JSON values and back, loss-free, by the declarations of ``core.repair.plan`` themselves.

A field that is added there is written and asked for here at once; only the schema has to be told.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import functools
import types
import typing
import uuid
from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar

from mergeguard.core.repair.plan import Image, Plan
from mergeguard.errors import PlanRefused

FORMAT = "mergeguard-plan"
MISSING_HINT = "make the plan again with 'mergeguard plan'; a plan is not written by hand"
Value = TypeVar("Value")
_PLAIN = frozenset({str, int, float, bool, type(None)})
_WORDS: Mapping[type, str] = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


def plan_document(plan: Plan) -> dict[str, Any]:
    """Return a plan as JSON values, without its digest."""
    values: dict[str, Any] = written(plan)
    return {"format": FORMAT, "version": values.pop("version"), **values}


def plan_from_document(document: Mapping[str, Any], origin: str) -> Plan:
    """Read the plan back; ``origin`` is what messages call it.

    Raises:
        PlanRefused: a field is missing, unknown or of the wrong type; the message says which.
    """
    values = {key: value for key, value in document.items() if key != "format"}
    return typing.cast("Plan", PlanReader(origin).read(Plan, values, ""))


def written(value: object) -> Any:  # noqa: ANN401 - JSON is any value
    """Return a value of ``core.repair`` as JSON values; the keys of an object stay in their order."""
    # By exact type first: a plan holds a hundred values a component, and nearly all of them are these.
    if type(value) in _PLAIN or isinstance(value, str | int | float | None):
        return value
    if type(value) is dict or isinstance(value, Mapping):
        return {key: entry if type(entry) in _PLAIN else written(entry) for key, entry in value.items()}
    if isinstance(value, tuple | list):
        return [written(entry) for entry in value]
    if dataclasses.is_dataclass(value):
        return {name: written(getattr(value, name)) for name, _ in _fields(typing.cast("type", type(value)))}
    return _scalar_written(value)


def _scalar_written(value: object) -> str:
    if isinstance(value, dt.datetime):
        return written_time(value)
    return str(value.value) if isinstance(value, enum.Enum) else str(value)


def written_time(value: dt.datetime) -> str:
    """Write a moment in UTC, to the microsecond."""
    if value.tzinfo is None:
        raise ValueError("a time without a zone says no moment")
    return value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


@functools.cache
def _fields(kind: type) -> tuple[tuple[str, Any], ...]:
    """Return (name, type) of each field of a dataclass."""
    hints = typing.get_type_hints(kind)
    return tuple((field.name, hints[field.name]) for field in dataclasses.fields(kind))


class PlanReader:
    """Checks JSON values piece by piece against the declared types; every refusal says where."""

    def __init__(self, origin: str) -> None:
        self.origin = origin

    def read(self, kind: Any, value: Any, where: str) -> Any:  # noqa: ANN401 - a type and what it describes
        """Return ``value`` as ``kind`` declares it."""
        if kind == Image:
            return self._image(value, where)
        base = typing.get_origin(kind)
        if base is types.UnionType:
            return None if value is None else self.read(typing.get_args(kind)[0], value, where)
        if base is tuple:
            entries = self._of(list, value, where)
            entry_kind = typing.get_args(kind)[0]
            return tuple(self.read(entry_kind, entry, f"{where}[{at}]") for at, entry in enumerate(entries))
        if base is not None:
            return self._of(dict, value, where)
        if dataclasses.is_dataclass(kind):
            return self._object(typing.cast("type", kind), value, where)
        return self._scalar(kind, value, where)

    def _object(self, kind: type, value: object, where: str) -> object:
        found = self._of(dict, value, where)
        fields = _fields(kind)
        dot = f"{where}." if where else ""
        for name, _ in fields:
            if name not in found:
                self.refuse(f"lacks {dot}{name}")
        if len(found) > len(fields):
            unknown = next(iter(found.keys() - {name for name, _ in fields}))
            self.refuse(f"has an unknown field {dot}{unknown}")
        return kind(**{name: self.read(field, found[name], f"{dot}{name}") for name, field in fields})

    def _scalar(self, kind: Any, value: object, where: str) -> object:  # noqa: ANN401 - a type
        if kind in (bool, int, str):
            return self._of(kind, value, where)
        text = self._of(str, value, where)
        try:
            # UUID takes braces and what not; only our own spelling comes back as it was.
            read = _moment(text) if kind is dt.datetime else kind(text)
        except ValueError:
            read = None
        if read is None or (kind is uuid.UUID and str(read) != text):
            self.refuse(f"{where} is {text[:80]!r}", f"it should be {_described(kind)}")
        return typing.cast("object", read)

    def _image(self, value: object, where: str) -> Image:
        found = self._of(dict, value, where)
        for column, cell in found.items():
            if cell is not None and type(cell) is not str:
                self.refuse(f"{where}.{column} is {described(cell)}", "the cell of a row is text or null")
        return found

    def _of(self, kind: type[Value], value: object, where: str) -> Value:
        if type(value) is not kind:
            self.refuse(f"{where or 'the whole'} is {described(value)}", f"it should be {_WORDS[kind]}")
        return value

    def refuse(self, what: str, hint: str | None = None) -> NoReturn:
        """Refuse the plan."""
        raise PlanRefused(f"{self.origin} is damaged: {what}", hint=hint or MISSING_HINT)


def described(value: object) -> str:
    """Name what JSON holds in words for people."""
    return _WORDS.get(type(value), type(value).__name__)


def _moment(text: str) -> dt.datetime | None:
    moment = dt.datetime.fromisoformat(text)
    return None if moment.tzinfo is None else moment.astimezone(dt.UTC)


def _described(kind: type) -> str:
    if issubclass(kind, enum.Enum):
        return " or ".join(str(one.value) for one in kind)
    return "a guid of 36 lower-case characters" if kind is uuid.UUID else "a time with its zone"
