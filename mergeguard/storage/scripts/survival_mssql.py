"""What decides, in SQL Server's scripts, which rows stay when two resources become one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mergeguard.storage.profile import AssociationTypes, Classes, Hashes
    from mergeguard.storage.scripts.files import Repointed

TIMES: Final = {
    "datetime2": "CONVERT(datetime2(7), {})",
    "datetime": "CONVERT(datetime2(7), {})",
    "smalldatetime": "CONVERT(datetime2(7), {})",
    "date": "CONVERT(datetime2(7), {})",
    "datetimeoffset": "CONVERT(datetime2(7), SWITCHOFFSET({}, '+00:00'))",
}
"""How a time is compared, by the base type of its column."""
NUMBERS: Final = frozenset({"bigint", "int", "smallint", "tinyint"})
"""Types of the numbers of events."""
_TABLES: Final = (
    ("table_no", "int"), ("table_name", "nvarchar(600)"), ("full_name", "nvarchar(600)"), ("time_sql", "nvarchar(600)"),
    ("order_sql", "nvarchar(600)"), ("sets_name", "nvarchar(128)"), ("parent_name", "nvarchar(128)"),
    ("type_name", "nvarchar(128)"), ("data_class", "uniqueidentifier"),
)  # fmt: skip
_COLUMNS: Final = (
    ("table_no", "int"), ("column_name", "nvarchar(128)"), ("moves", "bit"), ("is_guid", "bit"), ("cleared", "bit"),
    ("names", "bit"),
)  # fmt: skip
_UNIQUE: Final = (("table_no", "int"), ("unique_no", "int"), ("place", "int"), ("column_name", "nvarchar(128)"))
_ENDS: Final = (("table_no", "int"), ("parent_name", "nvarchar(128)"), ("child_name", "nvarchar(128)"))
_HASHES: Final = (
    ("table_name", "nvarchar(600)"), ("full_name", "nvarchar(600)"), ("guid_name", "nvarchar(128)"),
    ("class_name", "nvarchar(128)"), ("hash_name", "nvarchar(128)"), ("time_name", "nvarchar(128)"),
    ("order_name", "nvarchar(128)"),
)  # fmt: skip
_NO_CLASSES: Final = (
    "SELECT CONVERT(nvarchar(400), NULL) AS [name], CONVERT(uniqueidentifier, NULL) AS [class] WHERE 1 = 0"
)
_NO_MAXIMA: Final = "SELECT CONVERT(uniqueidentifier, NULL) AS [type], CONVERT(int, NULL) AS [maximum] WHERE 1 = 0"


class Catalogue:
    """What is asked about tables.

    Args:
        base: (table, column) -> the base type of the column.
        column: (table, column) -> the column as the catalogue spells it.
        table: a table -> its name, quoted and qualified.
    """

    def __init__(
        self, base: Callable[[str, str], str], column: Callable[[str, str], str], table: Callable[[str], str]
    ) -> None:
        self.base = base
        self.column = column
        self.table = table


def decidable(catalogue: Catalogue, each: Repointed, hashes: Hashes | None) -> bool:
    """Say whether procedures can read all that decides which rows of a table stay."""
    rules = each.rules
    if not rules or any(catalogue.base(each.table, column) != "uniqueidentifier" for column in rules["guids"]):
        return False
    if rules["time"] is not None and catalogue.base(each.table, rules["time"]) not in TIMES:
        return False
    if rules["order"] is not None and catalogue.base(each.table, rules["order"]) not in NUMBERS:
        return False
    if rules["data_class"] is not None and _guid_text(rules["data_class"]) is None:
        return False
    if hashes is None:
        return True
    guids = all(catalogue.base(hashes.table, name) == "uniqueidentifier" for name in (hashes.guid, hashes.data_class))
    timed = hashes.time is None or catalogue.base(hashes.table, hashes.time) in TIMES
    timed = timed and (hashes.order is None or catalogue.base(hashes.table, hashes.order) in NUMBERS)
    classes = hashes.classes
    return guids and timed and (classes is None or catalogue.base(classes.table, classes.guid) == "uniqueidentifier")


def survival(catalogue: Catalogue, tables: Sequence[Repointed]) -> dict[str, str]:
    """Return the texts of the views about tables that are re-pointed."""
    found: dict[str, list[list[str]]] = {"moved_tables": [], "moved_columns": [], "moved_unique": [], "moved_ends": []}
    for number, each in enumerate(tables, 1):
        rules, no = each.rules, str(number)
        time, order = rules["time"], rules["order"]
        turn = None if order is None else f"CONVERT(bigint, t.{quoted(order)})"
        said = None if time is None else TIMES[catalogue.base(each.table, time)].format(f"t.{quoted(time)}")
        links = rules["links"] or {"parent": None, "type": None}
        names = (each.table, catalogue.table(each.table), said, turn, rules["sets"], links["parent"], links["type"])
        found["moved_tables"].append([no, *map(_text, names), _text(_guid_text(rules["data_class"]))])
        parts = [rules[part] for part in ("columns", "guids", "cleared", "names")]
        for column in dict.fromkeys(name for part in parts for name in part):
            found["moved_columns"].append([no, _text(column), *(str(int(column in part)) for part in parts)])
        for at, unique in enumerate(rules["unique"], 1):
            rows = ([no, str(at), str(place), _text(name)] for place, name in enumerate(unique["columns"], 1))
            found["moved_unique"] += rows
        found["moved_ends"] += ([no, *map(_text, pair)] for pair in rules["ends"])
    shapes = {"moved_tables": _TABLES, "moved_columns": _COLUMNS, "moved_unique": _UNIQUE, "moved_ends": _ENDS}
    return {mark: _values(shapes[mark], rows) for mark, rows in found.items()}


def beside(catalogue: Catalogue, hashes: Hashes | None, types: AssociationTypes | None) -> dict[str, str]:
    """Return the texts of the views about hashes, their classes, and how many links there may be."""
    rows = []
    if hashes is not None:
        named = (hashes.guid, hashes.data_class, hashes.hash, hashes.time, hashes.order)
        columns = (None if name is None else catalogue.column(hashes.table, name) for name in named)
        rows = [list(map(_text, (hashes.table, catalogue.table(hashes.table), *columns)))]
    classes = None if hashes is None else hashes.classes
    return {
        "hash_table": _values(_HASHES, rows),
        "hash_classes": _NO_CLASSES if classes is None else _classes(catalogue, classes),
        "link_maxima": _NO_MAXIMA if types is None else _maxima(catalogue, types),
    }


def _classes(catalogue: Catalogue, classes: Classes) -> str:
    if catalogue.base(classes.table, classes.guid) != "uniqueidentifier":
        return _NO_CLASSES
    name, guid = (quoted(catalogue.column(classes.table, one)) for one in (classes.name, classes.guid))
    said = f"CONVERT(nvarchar(400), k.{name}) COLLATE DATABASE_DEFAULT"
    return f"SELECT {said} AS [name], k.{guid} AS [class] FROM {catalogue.table(classes.table)} AS k"  # noqa: S608 - quoted names


def _maxima(catalogue: Catalogue, types: AssociationTypes) -> str:
    if catalogue.base(types.table, types.guid) != "uniqueidentifier":
        return _NO_MAXIMA
    guid, maximum = (quoted(catalogue.column(types.table, one)) for one in (types.guid, types.maximum))
    number = f"TRY_CONVERT(int, m.{maximum})"
    return f"SELECT m.{guid} AS [type], {number} AS [maximum] FROM {catalogue.table(types.table)} AS m"  # noqa: S608 - quoted names


def _values(shape: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]]) -> str:
    """Return a SELECT of constants, typed whatever they are."""
    if not rows:
        nothing = ", ".join(f"CONVERT({kind}, NULL) AS [{name}]" for name, kind in shape)
        return f"SELECT {nothing} WHERE 1 = 0"
    # A column of constants that are all NULL would be one of numbers.
    known = [any(row[at] != "NULL" for row in rows) for at in range(len(shape))]
    cells = (f"v.[{name}]" if there else "NULL" for (name, _), there in zip(shape, known, strict=True))
    listed = ", ".join(f"CONVERT({kind}, {cell}) AS [{name}]" for (name, kind), cell in zip(shape, cells, strict=True))
    lines = ",\n    ".join(f"({', '.join(row)})" for row in rows)
    return f"SELECT {listed}\nFROM (VALUES\n    {lines}\n) AS v ({', '.join(f'[{name}]' for name, _ in shape)})"


def _guid_text(said: object) -> str | None:
    from mergeguard.core import guids  # noqa: PLC0415 - NumPy

    guid = None if said is None else guids.parse(str(said))
    return None if guid is None else str(guid)


def quoted(name: str) -> str:
    """Return a name in brackets."""
    return "[" + name.replace("]", "]]") + "]"


def _text(text: str | None) -> str:
    return "NULL" if text is None else "N'" + text.replace("'", "''") + "'"
