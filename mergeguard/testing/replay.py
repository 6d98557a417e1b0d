"""The token by which a schedule is played again: what was merged, who went when, what went wrong."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from mergeguard.errors import UsageError
from mergeguard.testing.history import Fault
from mergeguard.testing.rings import Case, Edge
from mergeguard.testing.scheduler import Planned
from mergeguard.testing.tables import Datum, Guid, Link, Tables, current, guid

PREFIX: Final = "mg1-"
MOST_GUIDS: Final = 64


@dataclass(frozen=True, slots=True)
class Replay:
    """One schedule of one case."""

    case: Case
    choices: tuple[int, ...]
    faults: tuple[Planned, ...] = ()

    def token(self) -> str:
        """Return the text that ``from_token`` reads.

        >>> from mergeguard.testing.rings import ring_of
        >>> replay = Replay(ring_of(2), (0, 1))
        >>> from_token(replay.token()) == replay
        True
        """
        told = [
            _told(self.case.start),
            [[edge.old, edge.new] for edge in self.case.edges],
            self.case.level,
            list(self.choices),
            [[one.actor, one.step, one.fault.value] for one in self.faults],
        ]
        packed = zlib.compress(json.dumps(_numbered(told), separators=(",", ":")).encode(), 9)
        whole = zlib.crc32(packed).to_bytes(4, "big") + packed
        return PREFIX + base64.urlsafe_b64encode(whole).decode().rstrip("=")


def from_token(token: str) -> Replay:
    """Read a token.

    Raises:
        UsageError: it is none, was cut or altered, or is of another version.
    """
    token = token.strip()
    if not token.startswith(PREFIX):
        raise UsageError(f"{token[:12]!r} is no token of this version", hint=f"a token begins with {PREFIX}")
    text = token.removeprefix(PREFIX)
    try:
        whole = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        if zlib.crc32(whole[4:]).to_bytes(4, "big") != whole[:4]:
            raise ValueError  # noqa: TRY301 - one way for all that is wrong with it
        start, edges, level, choices, faults = _lettered(json.loads(zlib.decompress(whole[4:])))
    except (ValueError, TypeError, binascii.Error, zlib.error):
        raise UsageError("the token was cut or altered", hint="copy it whole, from 'mg1-' to its end") from None
    case = Case(_tables(start), tuple(Edge(*edge) for edge in edges), level)
    return Replay(case, tuple(choices), tuple(Planned(actor, step, Fault(fault)) for actor, step, fault in faults))


def _told(tables: Tables) -> list[Any]:
    """Return the tables without their lookup, which follows from the rest."""
    return [
        [[str(one), kind] for one, kind in tables.kinds.items()],
        sorted(map(str, tables.live)),
        [[str(old), str(new)] for old, new in tables.merges],
        [[str(one.guid), one.value, one.at] for one in tables.data],
        [[one.id, str(one.parent), str(one.child), one.at] for one in tables.links],
        [[number, str(owner)] for number, owner in tables.tickets.items()],
    ]


def _tables(told: Sequence[Any]) -> Tables:
    kinds, live, merges, data, links, tickets = told
    tables = Tables(
        kinds={Guid(one): kind for one, kind in kinds},
        live=frozenset(map(Guid, live)),
        merges=tuple((Guid(old), Guid(new)) for old, new in merges),
        data=tuple(Datum(Guid(one), value, at) for one, value, at in data),
        links=tuple(Link(number, Guid(parent), Guid(child), at) for number, parent, child, at in links),
        tickets={number: Guid(owner) for number, owner in tickets},
    )
    return Tables(
        tables.kinds,
        tables.live,
        tables.merges,
        {old: current(tables, old) for old, _ in tables.merges},
        tables.data,
        tables.links,
        tables.tickets,
    )


_NUMBERS = {str(guid(number)): number for number in range(MOST_GUIDS)}


def _numbered(told: Any) -> Any:  # noqa: ANN401 - JSON
    """Write the kit's guids as their numbers, marked with # (and with ^ where they were in capitals)."""
    if isinstance(told, list):
        return [_numbered(one) for one in told]
    if isinstance(told, str) and told.lower() in _NUMBERS:
        return f"{'#' if told == told.lower() else '^'}{_NUMBERS[told.lower()]}"
    return told


def _lettered(told: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(told, list):
        return [_lettered(one) for one in told]
    if isinstance(told, str) and told[:1] in {"#", "^"} and told[1:].isdecimal():
        text = str(guid(int(told[1:])))
        return text if told[0] == "#" else text.upper()
    return told
