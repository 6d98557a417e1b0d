"""Takes what was typed as it is, where typer would import pydantic for it: that costs more than all commands together.

From release 0.29 on typer turns every value, texts and flags nobody gave included, into what the parameter declares by
way of pydantic. A text is a text already. Where typer works in another way, here is nothing to do and nothing is done.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from mergeguard.errors import UsageError

# typer's own classes, which go by other names in other releases.
Parameter: TypeAlias = Any
Context: TypeAlias = Any
Coercion: TypeAlias = Any

MOST: Final = 10**9
"""The largest number that a flag takes unless it says otherwise."""
_MAKERS: dict[object, Callable[[Any], object]] = {
    str: str,
    list[str]: list,
    Path: Path,
    list[Path]: lambda texts: [*map(Path, texts)],
}


def take_as_typed(parameters: Sequence[Parameter]) -> None:
    """Let parameters take texts, lists of texts, and paths as they were typed; typer goes on to see to the others."""
    for parameter in parameters:
        typers_own = getattr(parameter, "get_runtime_param", None)
        annotation = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
        if typers_own is not None and annotation is not None and not isinstance(typers_own, _AsTyped):
            parameter.get_runtime_param = _AsTyped(typers_own, annotation)


class _AsTyped:
    """Stands where a parameter of typer gets its coercion, and is that coercion.

    No parameter here asks typer to look at a path; one that did (``exists=True``) would have to be left to typer.
    """

    def __init__(self, typers_own: Callable[[], Coercion], annotation: object) -> None:
        self._typers_own = typers_own
        self._annotation = annotation

    def __call__(self) -> _AsTyped:
        return self

    def coerce(self, value: object, param: Parameter, ctx: Context) -> object:
        """Return the value of a parameter, as ``RuntimeParam.coerce`` of typer does."""
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        make = _MAKERS.get(self._annotation)
        if make is not None and isinstance(value, str | list | tuple):
            return make(value)
        if self._annotation is int and isinstance(value, str):
            return _whole(value, param)
        return self._typers_own().coerce(value, param=param, ctx=ctx)


def _whole(value: str, parameter: Parameter) -> int:
    """Read a whole number within the limits that its flag declares.

    Raises:
        UsageError: it is none.
    """
    said = parameter.type_descriptor.parameter_info
    least, most = int(said.min or 0), int(MOST if said.max is None else said.max)
    if re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", value) and least <= int(value) <= most:
        return int(value)
    raise UsageError(
        f"{parameter.opts[0]} cannot be {value!r:.50}", hint=f"give a whole number from {least:,} to {most:,}"
    )
