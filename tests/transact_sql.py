"""Runs the Transact-SQL of our scripts on PostgreSQL: what they say can be tested without SQL Server.

It knows the statements that stand in ``sql/mssql`` and no others; each ends with a semicolon. Locks, transactions and
settings are passed over: they are for the contract suite, on a real server.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import psycopg
from transact_parser import Node, Routine, routines, split, views
from transact_words import IDENTITY, SCHEMA, WORDS, at_keyword, names, prepared, type_of, typed

Values: TypeAlias = dict[str, Any]
_TABLES = {"walk_of", "current_guid"}


class Refused(Exception):
    """A THROW."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number
        self.reason = message.split(": ")[1]


class _Return(Exception):
    """The end of a routine."""


class _Break(Exception):
    """The end of a loop."""


@dataclass
class Frame:
    """What one call knows."""

    values: Values = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    tables: dict[str, str] = field(default_factory=dict)
    """What its table variables are called."""
    rowcount: int = 0


class Transact:
    """The routines of some files on a connection.

    Args:
        connection: to PostgreSQL; the views are tables in the schema ``SCHEMA``.
        files: of ``sql/mssql``.
        stubs: procedures that a test replaces.
    """

    def __init__(
        self, connection: psycopg.Connection[Any], files: Sequence[str], **stubs: Callable[[Values], Mapping[str, Any]]
    ) -> None:
        self.connection = connection
        self.routines = routines(tuple(files))
        self.stubs = stubs
        self.results: list[list[dict[str, Any]]] = []
        self.statements = 0
        """How many were sent."""
        self._made = 0
        for view, select in views(files).items():
            self._execute(f'CREATE VIEW {SCHEMA}."{view}" AS {self._sql(select, Frame())}', Frame())

    # Calls.

    def call(self, name: str, *given: Any, **named: Any) -> Values:
        """Run a procedure; return its variables."""
        frame = self._frame(self.routines[name], given, named)
        with contextlib.suppress(_Return):
            self._run_all(self.routines[name].body, frame)
        return frame.values

    def table(self, name: str, *given: Any) -> str:
        """Run a function that returns a table; return the name of a table with its rows."""
        routine = self.routines[name]
        frame = self._frame(routine, given, {})
        self._made += 1
        made = f"made_{self._made}"
        if routine.returns is None:
            self._execute(f'CREATE TEMP TABLE "{made}" AS {self._sql(routine.select, frame)}', frame)
            return made
        variable, declared = routine.returns
        self._make(variable, declared, frame)
        with contextlib.suppress(_Return):
            self._run_all(routine.body, frame)
        self._execute(f'CREATE TEMP TABLE "{made}" AS SELECT * FROM "{frame.tables[variable[1:]]}"', frame)
        return made

    def rows(self, name: str, *given: Any) -> list[tuple[Any, ...]]:
        """Run a function that returns a table; return its rows."""
        return self.connection.execute(f'SELECT * FROM "{self.table(name, *given)}"').fetchall()

    def _frame(self, routine: Routine, given: Sequence[Any], named: Mapping[str, Any]) -> Frame:
        frame = Frame()
        for place, (name, kind, default) in enumerate(routine.parameters):
            frame.types[name] = type_of(kind)
            frame.values[name] = given[place] if place < len(given) else named.get(name)
            if place >= len(given) and name not in named and default is not None:
                frame.values[name] = self._value(default, frame)
        return frame

    # Statements.

    def _run_all(self, nodes: Sequence[Node], frame: Frame) -> None:
        for node in nodes:
            self._run(node, frame)

    def _run(self, node: Node, frame: Frame) -> None:
        kind = node[0]
        if kind == "plain":
            self._plain(node[1], frame)
        elif kind == "block":
            self._run_all(node[1], frame)
        elif kind == "try":
            self._run_all(node[1], frame)  # what is thrown ends the call: the transaction is gone anyway
        elif kind == "if":
            if self._holds(node[1], frame):
                self._run(node[2], frame)
            elif node[3] is not None:
                self._run(node[3], frame)
        else:
            try:
                while self._holds(node[1], frame):
                    self._run(node[2], frame)
            except _Break:
                pass

    def _plain(self, text: str, frame: Frame) -> None:
        word = re.match(r"\w+", text)[0].upper()  # type: ignore[index]
        if word == "RETURN" and text[6:].strip():
            frame.values["return"] = self._value(text[6:], frame)
        if word in {"BREAK", "RETURN"}:
            raise _Break if word == "BREAK" else _Return
        if word in {"BEGIN", "COMMIT", "ROLLBACK"} or (word == "SET" and not re.match(r"SET\s+@", text)):
            return
        getattr(self, f"_{word.lower()}")(text, frame)

    def _declare(self, text: str, frame: Frame) -> None:
        table = re.match(r"DECLARE\s+(@\w+) TABLE (\(.*)", text, re.DOTALL)
        if table is not None:
            self._make(table[1], table[2], frame)
            return
        for part in split(re.sub(r"^DECLARE\s+", "", text)):
            match = re.fullmatch(r"\s*@(\w+)\s+(\w+\s*(?:\([^)]*\))?)\s*(?:=\s*(.*?))?\s*", part, re.DOTALL)
            assert match is not None, part
            frame.types[match[1]] = type_of(match[2])
            frame.values[match[1]] = None if match[3] is None else self._value(match[3], frame)

    def _make(self, variable: str, declared: str, frame: Frame) -> None:
        """Make a table: ``@way`` or ``#way``."""
        if variable.startswith("@"):
            self._made += 1
            frame.tables[variable[1:]] = variable = f"{variable}_{self._made}"
        self._execute(f'DROP TABLE IF EXISTS "{variable}"', frame)
        columns = re.sub(r"COLLATE \w+|IDENTITY\(1, 1\)", lambda m: IDENTITY * (m[0][0] == "I"), declared)
        self._execute(f'CREATE TEMP TABLE "{variable}" {typed(names(columns))}', frame)

    def _create(self, text: str, frame: Frame) -> None:
        match = re.match(r"CREATE TABLE (#\w+) (\(.*)", text, re.DOTALL)
        assert match is not None, text
        self._make(match[1], match[2], frame)

    def _set(self, text: str, frame: Frame) -> None:
        match = re.match(r"SET\s+@(\w+)\s*=\s*(.*)", text, re.DOTALL)
        assert match is not None, text
        frame.values[match[1]] = self._value(match[2], frame)

    def _select(self, text: str, frame: Frame) -> None:
        match = re.match(r"SELECT\s+(TOP \(\d+\) )?\s*(@\w+\s*=.*)", text, re.DOTALL)
        if match is None:
            cursor = self._execute(self._sql(text, frame), frame)
            names = [column.name for column in cursor.description or ()]
            self.results.append([dict(zip(names, row, strict=True)) for row in cursor.fetchall()])
            return
        listed, rest = at_keyword(match[2], "FROM")
        pairs = [re.match(r"\s*@(\w+)\s*=\s*(.*)", part, re.DOTALL) for part in split(listed)]
        said = ", ".join(pair[2] for pair in pairs if pair is not None)
        cursor = self._execute(self._sql(f"SELECT {match[1] or ''}{said} {rest}", frame), frame)
        found = cursor.fetchall()
        if found:
            frame.values |= {pair[1]: value for pair, value in zip(pairs, found[-1], strict=True) if pair is not None}
        frame.rowcount = len(found)

    def _insert(self, text: str, frame: Frame) -> None:
        frame.rowcount = self._execute(self._sql(text, frame), frame).rowcount

    def _delete(self, text: str, frame: Frame) -> None:
        text = re.sub(r"^DELETE (\w) FROM (\S+) AS \1\b", r"DELETE FROM \2 AS \1", text)
        frame.rowcount = self._execute(self._sql(text, frame), frame).rowcount

    def _update(self, text: str, frame: Frame) -> None:
        head, rest = at_keyword(text, "FROM")
        match = re.match(r"UPDATE (\S+) SET (.*)", head, re.DOTALL)
        assert match is not None, text
        if not rest:
            frame.rowcount = self._execute(self._sql(text, frame), frame).rowcount
            return
        alias = match[1]
        place = re.search(rf"(\[mergeguard\]\.\[\w+\]|[@#]\w+) AS {alias}\b", rest)
        assert place is not None, text
        sets = [re.match(r"\s*\[(\w+)\]\s*=\s*(.*)", part, re.DOTALL) for part in split(match[2])]
        asked = ", ".join(f"{one[2]} AS [{one[1]}]" for one in sets if one is not None and one[2].strip() != "NULL")
        inner = self._sql(f"SELECT {alias}.[ctid] AS [rid], {asked} {rest}", frame)
        written = ", ".join(
            f'"{one[1]}" = ' + ("NULL" if one[2].strip() == "NULL" else f's."{one[1]}"')
            for one in sets
            if one is not None
        )
        target = self._sql(place[1], frame)
        once = f"SELECT DISTINCT ON (rid) * FROM ({inner}) AS q"
        sql = f"UPDATE {target} AS t SET {written} FROM ({once}) AS s WHERE t.ctid = s.rid"
        frame.rowcount = self._execute(sql, frame).rowcount

    def _throw(self, text: str, frame: Frame) -> None:
        number, message, _ = split(re.sub(r"^THROW\s+", "", text))
        raise Refused(int(number), self._value(message, frame))

    def _exec(self, text: str, frame: Frame) -> None:
        dynamic = re.match(r"EXEC sys\.sp_executesql @sql, (.*)", text, re.DOTALL)
        if dynamic is not None:
            found = self.stubs["sp_executesql"]({"sql": frame.values["sql"]})
            outputs = re.findall(r"@(\w+) = @(\w+) OUTPUT", dynamic[1])
            frame.values |= {variable: found.get(parameter) for parameter, variable in outputs}
            return
        match = re.match(r"EXEC \[mergeguard\]\.\[(\w+)\]\s*(.*)", text, re.DOTALL)
        assert match is not None, text
        name = match[1]
        parameters = [parameter for parameter, *_ in self.routines[name].parameters]
        given: Values = {}
        out: dict[str, str] = {}
        for place, part in enumerate(split(match[2]) if match[2].strip() else []):
            said = re.fullmatch(r"\s*(?:@(\w+)\s*=\s*)?(.*?)\s*( OUTPUT)?\s*", part, re.DOTALL)
            assert said is not None
            parameter = said[1] or parameters[place]
            given[parameter] = self._value(said[2], frame)
            if said[3]:
                out[parameter] = said[2].strip().removeprefix("@")
        found = self.stubs[name](given) if name in self.stubs else self.call(name, **given)
        frame.values |= {variable: found.get(parameter) for parameter, variable in out.items()}

    # Expressions.

    def _value(self, expression: str, frame: Frame) -> Any:
        return self._execute(self._sql(f"SELECT {expression}", frame), frame).fetchone()[0]  # type: ignore[index]

    def _holds(self, condition: str, frame: Frame) -> bool:
        return bool(self._value(f"CASE WHEN {condition} THEN 1 ELSE 0 END", frame))

    def _execute(self, sql: str, frame: Frame) -> psycopg.Cursor[Any]:
        self.statements += 1
        return self.connection.execute(sql.encode(), frame.values)

    def _sql(self, text: str, frame: Frame) -> str:
        """Translate."""
        text = re.sub(r"\[mergeguard\]\.\[(\w+)\]\((@\w+)\)", lambda match: self._called(match, frame), text)
        words = [self._word(word, frame) for word in prepared(text)]
        return "".join(words)

    def _word(self, word: str, frame: Frame) -> str:
        if word.upper() == "@@ROWCOUNT":
            return str(frame.rowcount)
        if word.upper() == "@@TRANCOUNT":
            return "1"  # a caller has begun a transaction
        if word.startswith("@"):
            name = word[1:]
            return f'"{frame.tables[name]}"' if name in frame.tables else f"CAST(%({name})s AS {frame.types[name]})"
        if word.startswith("#"):
            return f'"{word}"'
        if word.endswith("'"):
            return word.removeprefix("N").replace("%", "%%")
        return names(word) if word.startswith("[") else WORDS.get(word.upper(), word)

    def _called(self, match: re.Match[str], frame: Frame) -> str:
        if match[1] not in _TABLES:
            return match[0]
        return f"[{self.table(match[1], frame.values[match[2][1:]])}]"
