"""How one setting of the event processor is described: beside its type and default stand its words and its limits."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

Source: TypeAlias = Literal["seed", "domain", "ours"]
Kind: TypeAlias = Literal["whole number", "number", "path", "text"]

MOST: Final = 10**15
"""Larger numbers are mistakes: a petabyte, or thirty million years."""
PREFIX: Final = "MERGEGUARD_"
SEED: Final[Source] = "seed"
DOMAIN: Final[Source] = "domain"
OURS: Final[Source] = "ours"
_KINDS: Final[Mapping[str, Kind]] = {"int": "whole number", "float": "number", "Path": "path", "Path | None": "path"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One setting, as the readers of files and the reference page see it."""

    name: str
    """The field of ``Settings``."""
    kind: Kind
    default: object
    """In ``unit``; ``None``: not set, so that what it names is off."""
    doc: str
    source: Source
    """``seed``: the document that the processor follows; ``domain``: the vendor's other public ones; ``ours``."""
    unit: str
    alias: str | None
    """The name it has in ``CoreSettings.config``; ``None`` for one of ours."""
    at_least: float
    at_most: float
    choices: tuple[str, ...] = ()
    """The only texts that it takes; none: any text."""

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return PREFIX + self.name.upper()

    @property
    def names(self) -> tuple[str, ...]:
        """Every name a file may call it by; the second one is what administrators know."""
        pascal = "".join(word.capitalize() for word in self.name.split("_"))
        if self.alias is None:
            return self.name, pascal
        return tuple(dict.fromkeys((self.name, self.alias, self.alias.removesuffix("(KB)"), pascal)))

    def outside(self, value: float | str) -> str | None:
        """Say what would fit instead of a number or a text; ``None`` where it fits, and for a path always."""
        if isinstance(value, str):
            return None if not self.choices or value in self.choices else " or ".join(self.choices)
        if self.at_least <= value <= self.at_most:
            return None
        most = "" if self.at_most == MOST else f" and at most {self.at_most:.15g}"
        unit = f" ({self.unit})" if self.unit else ""
        return f"a {self.kind} of at least {self.at_least:.15g}{most}{unit}"


def described(
    doc: str,
    source: Source = OURS,
    unit: str = "",
    *,
    alias: str | None = None,
    at_least: float = 0,
    at_most: float = MOST,
    choices: tuple[str, ...] = (),
) -> Mapping[str, object]:
    """Return the metadata of a field of ``Settings``."""
    limits = {"at_least": at_least, "at_most": at_most, "choices": choices}
    return {"doc": doc, "source": source, "unit": unit, "alias": alias, **limits}


def entry_of(field: dataclasses.Field[Any]) -> Entry:
    """Return the description of a field of ``Settings``."""
    return Entry(field.name, _KINDS.get(str(field.type), "text"), _shown(field.default), **field.metadata)


def _shown(default: object) -> object:
    return default.as_posix() if isinstance(default, Path) else None if default == "" else default
