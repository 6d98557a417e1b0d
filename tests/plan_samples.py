"""A plan that has everything in it, made by hand: what renderers and scripts are tested with."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import replace
from typing import Any

from mergeguard.core.repair.evidence import Confidence
from mergeguard.core.repair.plan import (
    Action,
    Column,
    Image,
    Plan,
    Refused,
    RowChange,
    Step,
    TableShape,
    TargetIdentity,
)

NOON = dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC)
NAMES = {1: "America/Denver", 2: "America/Shiprock", 3: "Asia/Kuching", 4: "Asia/Brunei"}


def guid(number: int) -> uuid.UUID:
    return uuid.UUID(int=0xA0000000_0000_4000_8000_000000000000 + number)


def merge(number: int, old: int, new: int) -> Image:
    return {
        "Id": f"i:{number}",
        "OldGuid": f"t:{guid(old)}",
        "NewGuid": f"t:{guid(new)}",
        "MergedAt": f"t:2024-01-0{number}",
    }


def evidence(rows: list[tuple[int, int, int, bool]], **more: Any) -> dict[str, Any]:
    """The evidence of a component: rows as (id, old, new, retired)."""
    mentioned = sorted({place for _, old, new, _ in rows for place in (old, new)})
    return {
        "votes": [],
        "candidates": [],
        "read_from": {"references": []},
        "rows": [
            {
                "row_id": number,
                "old": str(guid(old)),
                "new": str(guid(new)),
                "time": f"2024-01-0{number}T00:00:00Z",
                "retired": gone,
            }
            for number, old, new, gone in rows
        ],
        "names": {str(guid(place)): NAMES[place] for place in mentioned if place in NAMES},
    } | more


def _candidate(number: int, *, live: bool, keys: int, references: dict[str, int]) -> dict[str, Any]:
    return {
        "guid": str(guid(number)),
        "name": NAMES[number],
        "live": live,
        "type": str(guid(90)),
        "keys": keys,
        "references": references,
        "last_contact": "2024-04-30T08:00:00Z" if live else None,
        "owner": None,
    }


def _cycle() -> Step:
    votes = [
        {
            "evidence": "E1",
            "kind": "liveness",
            "strength": "certain",
            "survivor": str(guid(1)),
            "why": "the only live one of 2",
            "read_from": "ItemResource.Guid",
        }
    ]
    candidates = [
        _candidate(1, live=True, keys=1, references={"Inv_Identification._ResourceGuid": 3}),
        _candidate(2, live=False, keys=0, references={}),
    ]
    read_from = {
        "live": "ItemResource.Guid",
        "types": "Item.ResourceTypeGuid",
        "keys": "ResourceKey.ResourceGuid",
        "references": ["Inv_Identification._ResourceGuid"],
        "row_id": "ResourceMerge.Id",
        "time": "ResourceMerge.MergedAt",
        "contact": "Item.ModifiedDate",
    }
    return Step(
        component="0123456789abcdef",
        kinds=("cycle",),
        members=(guid(1), guid(2)),
        survivor=guid(1),
        confidence=Confidence.CERTAIN,
        why="America/Denver is the only live one of 2",
        changes=(RowChange(Action.RETIRE, "ResourceMerge", merge(1, 1, 2), None),),
        guard=(merge(1, 1, 2), merge(2, 2, 1)),
        evidence=evidence([(1, 1, 2, True), (2, 2, 1, False)], votes=votes, candidates=candidates, read_from=read_from),
        notes=("the merge must be completed: 12 rows still hold America/Shiprock",),
    )


def _self_merge() -> Step:
    return Step(
        component="fedcba9876543210",
        kinds=("self-merge", "redundant"),
        members=(guid(3),),
        survivor=guid(3),
        confidence=Confidence.ARBITRARY,
        why="a row that says nothing",
        changes=tuple(RowChange(Action.RETIRE, "ResourceMerge", merge(n, 3, 3), None) for n in (3, 4)),
        guard=(merge(3, 3, 3), merge(4, 3, 3), merge(5, 3, 3) | {"NewGuid": "t:nonsense"}),
        evidence=evidence([(3, 3, 3, True), (4, 3, 3, True)]),
    )


def _references() -> Step:
    def held(by: int) -> Image:
        return {"Id": "i:9", "_ResourceGuid": f"t:{guid(by)}", "Name": "t:PC"}

    return Step(
        component="references:1",
        kinds=("stale-reference",),
        members=(guid(2),),
        survivor=None,
        confidence=Confidence.CERTAIN,
        why="2 rows hold guids that were merged away",
        changes=(
            RowChange(Action.REPOINT, "Inv_Identification", held(2), held(1)),
            RowChange(Action.COLLAPSE, "Inv_Identification", held(2) | {"Id": "i:10"}, None),
        ),
        notes=("a note about references",),
    )


def _refused() -> Refused:
    return Refused(
        component="00000000000000aa",
        kinds=("split",),
        members=(guid(4),),
        reason="two candidates are live",
        override_line=f"00000000000000aa,{guid(1)},,",
        evidence=evidence([(6, 4, 1, False), (7, 4, 3, False)]),
    )


def _shapes() -> tuple[TableShape, ...]:
    text = "TEXT"
    merges = tuple(Column(name, text) for name in ("OldGuid", "NewGuid", "MergedAt"))
    stamp = Column("Stamp", "rowversion", generated=True)
    inventory = (Column("Id", "INTEGER"), Column("_ResourceGuid", text), Column("Name", text))
    return (
        TableShape("ResourceMerge", (Column("Id", "INTEGER", identity=True), *merges, stamp), ("Id",)),
        TableShape("Inv_Identification", inventory, ("Id",)),
    )


def sample_plan(**changed: Any) -> Plan:
    """A plan in which every part is filled."""
    plan = Plan(
        plan_id="5f" * 16,
        created=NOON,
        expires=NOON + dt.timedelta(hours=24),
        tool_version="0.2.0",
        target=TargetIdentity("sqlite:///tz.db", "sqlite", "SQLite 3.45.1", "tz.db", "ab" * 32),
        profile={"name": "reference", "merge": {"table": "ResourceMerge", "old": "OldGuid", "new": "NewGuid"}},
        tables=_shapes(),
        steps=(_cycle(), _self_merge(), _references()),
        refused=(_refused(),),
        left_alone=({"rule": "dangling", "count": 77, "why": "the only record of where a guid went"},),
        notes=("read with: snapshot",),
    )
    return replace(plan, **changed)
