"""``MergeGraph``: a merge table that is a networkx graph without being copied into one.

Only this module and ``views`` import networkx, which costs a fifth of a second: nobody imports them before a user asks
for a graph.
"""

from __future__ import annotations

import uuid
from functools import cached_property
from typing import Any, Self

import networkx as nx

from mergeguard.core.facts import Facts
from mergeguard.core.guids import to_uuids
from mergeguard.core.lookup import Lookup, lookup_of
from mergeguard.core.rules.cycle import ranked
from mergeguard.core.table import MergeTable
from mergeguard.core.views import Adjacencies, Arrays, Attributes, Nodes, refuse


class MergeGraph(nx.DiGraph):  # type: ignore[misc]  # networkx publishes no types
    """The rows of a merge table as a read-only ``networkx.DiGraph``.

    Nodes are the distinct guids (``uuid.UUID``) of both columns, an edge leads from old to new. Its one attribute
    ``rows`` is the tuple of (row id, time) of the rows behind it, in row order. All orders are those of a plain DiGraph
    to which the rows were added one by one, so every algorithm that does not change its graph gives the same answer.

    Making one is free; the first look through networkx builds the index: sorts in NumPy, and some 32 bytes a guid and
    32 a row to keep. Every way to change the graph raises ``networkx.NetworkXError``, and ``networkx.is_frozen`` says
    ``True``; copies are plain ``networkx.DiGraph``.

    Args:
        table: the rows. A networkx graph, or nothing, gives a plain ``networkx.DiGraph`` instead of a ``MergeGraph``:
            this is how networkx makes copies.

    Raises:
        TypeError: ``table`` is something else, or attributes for the graph are given with a table.
    """

    frozen = True

    def __new__(cls, table: MergeTable | nx.Graph | None = None, **attributes: object) -> Self:
        """Make a view on a table, or a plain ``networkx.DiGraph`` where networkx asks for an empty graph or a copy."""
        if table is None or isinstance(table, nx.Graph):
            return nx.DiGraph(table, **attributes)  # type: ignore[no-any-return]  # no Self on purpose
        # Not networkx's own __new__, which a configured backend may answer with a graph of its own.
        return object.__new__(cls)

    def __init__(self, table: MergeTable) -> None:
        if not isinstance(table, MergeTable):
            raise TypeError(
                f"MergeGraph takes a MergeTable, not {type(table).__name__}; see networkx.DiGraph for edges"
            )
        super().__init__()
        self._table = table
        self._arrays = Arrays(table)
        self.graph = Attributes()
        self._node = Nodes(self._arrays)
        self._adj = Adjacencies(self._arrays, inward=False)
        self._pred = Adjacencies(self._arrays, inward=True)

    def __reduce__(self) -> tuple[type[MergeGraph], tuple[MergeTable]]:
        return type(self), (self._table,)

    @property
    def table(self) -> MergeTable:
        """The rows behind the graph."""
        return self._table

    def size(self, weight: str | None = None) -> Any:  # noqa: ANN401 -- the sum of whatever the attribute holds
        """Return the number of edges, or the sum of an edge attribute, as networkx does."""
        return self._arrays.adjacency.edges() if weight is None else super().size(weight)

    @cached_property
    def lookup(self) -> Lookup:
        """Every old with its current guid, depth and status, worked out on the arrays in linear time.

        No guid counts as live here: liveness stands in other tables, see ``mergeguard.lookup``.
        """
        return lookup_of(self._facts)

    def current(self, guid: uuid.UUID) -> uuid.UUID | None:
        """Return what a guid is now: itself where no row merges it away, ``None`` for a cycle, split or deleted one."""
        answer = self.lookup.get(guid)
        return guid if answer is None else answer[0]

    def cycles(self) -> list[list[uuid.UUID]]:
        """Return each strongly connected component of two guids or more, those that take most guids down first.

        A component's guids are in the order of their texts. Self-merges are none; simple cycles are not enumerated.
        """
        return [to_uuids(self._table.old[self._facts.by_guid(ring.members)]) for ring in ranked(self._facts)]

    @cached_property
    def _facts(self) -> Facts:
        return Facts(self._table)

    add_node = add_nodes_from = add_edge = add_edges_from = add_weighted_edges_from = refuse
    remove_node = remove_nodes_from = remove_edge = remove_edges_from = refuse
    update = clear = clear_edges = refuse
