"""What SQL Server's scripts are told of the table of agents whose guid was merged away."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from mergeguard.storage.journal.tables import CLOCKS
from mergeguard.storage.scripts.survival_mssql import Catalogue, quoted

if TYPE_CHECKING:
    from mergeguard.storage.profile import Profile

_COLUMNS: Final = ("table_name", "full_name", "holds", "inserted", "managed_name", "managed_holds")
_YES: Final = "(N'1', N'true', N't', N'yes', N'y')"


def black_list(
    catalogue: Catalogue,
    profile: Profile,
    read: Callable[[str, str], str],
    written: Callable[[str, str, str], str],
) -> str:
    """Return the SELECT of one row, or of none where there is no such table.

    Args:
        catalogue: is asked about tables.
        profile: names them; ``profile.blacklist`` is known to stand.
        read: (table, column) -> the cell of a row ``t`` as ``uniqueidentifier``.
        written: (table, column, parameter) -> a ``uniqueidentifier`` as the column stores it.
    """
    listed, managed = profile.blacklist, profile.managed
    if listed is None:
        nothing = ", ".join(f"CONVERT(nvarchar(4000), NULL) AS [{name}]" for name in _COLUMNS)
        return f"SELECT {nothing} WHERE 1 = 0"
    cells = {listed.guid: written(listed.table, listed.guid, "@old_root")}
    cells |= {} if listed.current is None else {listed.current: written(listed.table, listed.current, "@new_root")}
    cells |= {} if listed.time is None else {listed.time: CLOCKS["mssql"]}
    named = ", ".join(quoted(catalogue.column(listed.table, name)) for name in cells)
    place, yes = None, None
    if managed is not None:
        place = catalogue.table(managed.table)
        said = f"CONVERT(nvarchar(400), t.{quoted(catalogue.column(managed.table, managed.managed))})"
        yes = f"{read(managed.table, managed.guid)} = @old_root AND LOWER(LTRIM(RTRIM({said}))) IN {_YES}"
    texts = (
        listed.table,
        catalogue.table(listed.table),
        f"{read(listed.table, listed.guid)} = @old_root",
        f"({named}) VALUES ({', '.join(cells.values())})",
        place,
        yes,
    )
    return f"SELECT {', '.join(f'{_text(text)} AS [{name}]' for text, name in zip(texts, _COLUMNS, strict=True))}"


def _text(text: str | None) -> str:
    return "CONVERT(nvarchar(4000), NULL)" if text is None else "N'" + text.replace("'", "''") + "'"
