"""What networkx sees of the arrays: read-only mappings in the shape of its dictionaries of dictionaries.

They make ``uuid.UUID`` objects and attributes when asked and keep none. Lookups, errors, length and order are those of
the dictionaries in a plain ``networkx.DiGraph`` built row by row.
"""

from __future__ import annotations

import uuid
from abc import abstractmethod
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from functools import cached_property
from typing import Any, NoReturn, TypeVar

import networkx as nx

from mergeguard.core.adjacency import Adjacency, Side, link
from mergeguard.core.numbering import Numbering, number
from mergeguard.core.table import MergeTable

V = TypeVar("V")


def refuse(*_args: object, **_kwargs: object) -> NoReturn:
    """Refuse to change the graph; ``networkx.DiGraph(g)`` is a copy that can be changed.

    Raises:
        networkx.NetworkXError: always.
    """
    raise nx.NetworkXError(
        "a MergeGraph is read-only: it is a view on the rows of a merge table; change a copy of it, networkx.DiGraph(g)"
    )


class _Unchangeable:
    """Refuses all that changes a dictionary."""

    __slots__ = ()
    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = refuse


class Attributes(_Unchangeable, dict[str, Any]):
    """The attributes of a node, an edge or the graph: a dictionary that refuses to change. Copies of it are plain."""

    __slots__ = ()

    def __reduce__(self) -> tuple[type, tuple[dict[str, Any]]]:
        return dict, (dict(self),)


class Arrays:
    """The arrays of a graph, each built when first asked for: a scan that never touches networkx pays for none."""

    def __init__(self, table: MergeTable) -> None:
        self.table = table

    def __reduce__(self) -> tuple[type[Arrays], tuple[MergeTable]]:
        return Arrays, (self.table,)

    @cached_property
    def numbering(self) -> Numbering:
        """The distinct guids, numbered."""
        return number(self.table)

    @cached_property
    def adjacency(self) -> Adjacency:
        """The edges."""
        return link(self.numbering)

    def find(self, key: object) -> int | None:
        """Return the number of a node, ``None`` for what is no node.

        Raises:
            TypeError: the key is unhashable, as for a dictionary.
        """
        if isinstance(key, uuid.UUID):
            return self.numbering.find(key)
        hash(key)
        return None

    def side(self, inward: bool) -> Side:
        """Return one direction of the edges."""
        return self.adjacency.into if inward else self.adjacency.out

    def attributes(self, edge: int) -> Attributes:
        """Return the attributes of an edge: ``rows``, a tuple of (row id, time)."""
        table = self.table
        rows = self.adjacency.rows.of(edge).tolist()
        return Attributes(rows=tuple((table.row_id(row), table.time(row)) for row in rows))


def _dictionary_keys(keys: Iterable[Any]) -> Any:  # noqa: ANN401 -- dict_keys, or whatever was given
    return dict.fromkeys(keys).keys() if isinstance(keys, _Keys) else keys


class _Keys(KeysView[uuid.UUID]):
    """Keys whose set operations give the very sets that a dictionary's keys give.

    The order of a set depends on how it was filled, and networkx walks such sets (``networkx.non_neighbors``).
    """

    __slots__ = ()

    def __sub__(self, others: Iterable[Any]) -> set[uuid.UUID]:
        result: set[uuid.UUID] = _dictionary_keys(self) - _dictionary_keys(others)
        return result

    def __and__(self, others: Iterable[Any]) -> set[uuid.UUID]:
        result: set[uuid.UUID] = _dictionary_keys(self) & _dictionary_keys(others)
        return result

    def __or__(self, others: Iterable[Any]) -> set[Any]:
        result: set[Any] = _dictionary_keys(self) | _dictionary_keys(others)
        return result

    def __xor__(self, others: Iterable[Any]) -> set[Any]:
        result: set[Any] = _dictionary_keys(self) ^ _dictionary_keys(others)
        return result


class _Items(ItemsView[uuid.UUID, V]):
    """Items made while walking, without a lookup each."""

    __slots__ = ()
    _mapping: _View[V]

    def __iter__(self) -> Iterator[tuple[uuid.UUID, V]]:
        return self._mapping.pairs()


class _Values(ValuesView[V]):
    """Values made while walking, without a lookup each."""

    __slots__ = ()
    _mapping: _View[V]

    def __iter__(self) -> Iterator[V]:
        return (value for _, value in self._mapping.pairs())


class _View(_Unchangeable, Mapping[uuid.UUID, V]):
    """A mapping from guids that stands where networkx keeps a dictionary."""

    __slots__ = ("_arrays",)

    def __init__(self, arrays: Arrays) -> None:
        self._arrays = arrays

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), (self._arrays,)

    def __repr__(self) -> str:
        return repr(self.copy())

    def __contains__(self, key: object) -> bool:
        return self._arrays.find(key) is not None

    def __iter__(self) -> Iterator[uuid.UUID]:
        return iter(self._arrays.numbering)

    def __len__(self) -> int:
        return len(self._arrays.numbering)

    @abstractmethod
    def pairs(self) -> Iterator[tuple[uuid.UUID, V]]:
        """Yield the items in order."""

    def keys(self) -> KeysView[uuid.UUID]:
        """Return a set-like view of the keys."""
        return _Keys(self)

    def items(self) -> ItemsView[uuid.UUID, V]:
        """Return a set-like view of the items."""
        return _Items(self)

    def values(self) -> ValuesView[V]:
        """Return a view of the values."""
        return _Values(self)

    def copy(self) -> dict[uuid.UUID, V]:
        """Return the items as a dictionary."""
        return dict(self.pairs())


class Nodes(_View[Attributes]):
    """In place of ``_node``: every guid, none of which has attributes."""

    __slots__ = ()

    def __getitem__(self, key: object) -> Attributes:
        if key not in self:
            raise KeyError(key)
        return Attributes()

    def pairs(self) -> Iterator[tuple[uuid.UUID, Attributes]]:
        """Yield the items in order."""
        return ((guid, Attributes()) for guid in self)


class Neighbours(_View[Attributes]):
    """In place of ``_adj[u]`` or ``_pred[v]``: the other ends of one guid's edges, with the attributes of those."""

    __slots__ = ("_inward", "_number")

    def __init__(self, arrays: Arrays, number: int, inward: bool) -> None:
        super().__init__(arrays)
        self._number = number
        self._inward = inward

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), (self._arrays, self._number, self._inward)

    def _edge(self, key: object) -> int | None:
        end = self._arrays.find(key)
        if end is None:
            return None
        old, new = (end, self._number) if self._inward else (self._number, end)
        return self._arrays.adjacency.edge(old, new)

    def __contains__(self, key: object) -> bool:
        return self._edge(key) is not None

    def __getitem__(self, key: object) -> Attributes:
        edge = self._edge(key)
        if edge is None:
            raise KeyError(key)
        return self._arrays.attributes(edge)

    def __iter__(self) -> Iterator[uuid.UUID]:
        arrays = self._arrays
        return arrays.numbering.some(arrays.side(self._inward).neighbours(self._number))

    def __len__(self) -> int:
        return self._arrays.side(self._inward).edges.size(self._number)

    def pairs(self) -> Iterator[tuple[uuid.UUID, Attributes]]:
        """Yield the items in order."""
        edges = self._arrays.side(self._inward).edges.of(self._number)
        return zip(self, map(self._arrays.attributes, edges), strict=True)


class Adjacencies(_View[Neighbours]):
    """In place of ``_adj`` or ``_pred``: for every guid its neighbours one way."""

    __slots__ = ("_inward",)

    def __init__(self, arrays: Arrays, inward: bool) -> None:
        super().__init__(arrays)
        self._inward = inward

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), (self._arrays, self._inward)

    def __getitem__(self, key: object) -> Neighbours:
        number = self._arrays.find(key)
        if number is None:
            raise KeyError(key)
        return Neighbours(self._arrays, number, self._inward)

    def pairs(self) -> Iterator[tuple[uuid.UUID, Neighbours]]:
        """Yield the items in order."""
        return ((guid, Neighbours(self._arrays, number, self._inward)) for number, guid in enumerate(self))
