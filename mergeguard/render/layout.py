"""Gives every node of a picture its place: cycles on a ring, trees in layers to their left, chains left to right.

The layout is our own and deterministic: the same picture always looks the same, so that two nights can be compared.
Strongly connected components become *blocks*; a block's layer is its longest way to a terminal; inside a layer blocks
stand as a tidy tree, each parent centred on what leads to it. The columns never overlap, nor do the rows.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from mergeguard.core.findings import Picture
from mergeguard.render.components import strongly_connected
from mergeguard.render.places import Place, Spacing, ring_places


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything is: node middles, the size of the drawing, and the members of each ring in their order."""

    places: Mapping[uuid.UUID, Place]
    width: float
    height: float
    rings: tuple[tuple[uuid.UUID, ...], ...]


@dataclass(slots=True)
class _Block:
    """A strongly connected component on its way to a place; ``x`` and ``y`` are its middle."""

    members: list[uuid.UUID]
    offsets: list[Place] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0
    layer: int = 0
    x: float = 0.0
    y: float = 0.0
    feeders: list[int] = field(default_factory=list)
    """The blocks that hang on this one in the tidy tree."""


def lay_out(picture: Picture, spacing: Spacing) -> Layout:
    """Place the nodes of a picture; edges to nodes that are not in it are ignored."""
    graph = _Graph(picture)
    for index in range(len(graph.blocks)):
        graph.hang(index)
    for block in graph.blocks:
        _shape(block, graph, spacing)
    total = 0.0
    for index in graph.roots:
        total = graph.stack(index, total, spacing)
    _to_columns(graph.blocks, spacing)
    places = {
        guid: (block.x + dx, block.y + dy)
        for block in graph.blocks
        for guid, (dx, dy) in zip(block.members, block.offsets, strict=True)
    }
    rings = tuple(tuple(block.members) for block in graph.blocks if len(block.members) > 1)
    right = max((block.x + block.width / 2 for block in graph.blocks), default=0.0)
    bottom = max((block.y + block.height / 2 for block in graph.blocks), default=0.0)
    return Layout(places, right, bottom, rings)


class _Graph:
    """The picture's blocks and who leads to whom; blocks come in an order in which successors stand first."""

    def __init__(self, picture: Picture) -> None:
        order = {node.guid: place for place, node in enumerate(picture.nodes)}
        self.successors: dict[uuid.UUID, list[uuid.UUID]] = {guid: [] for guid in order}
        for source, target in sorted(picture.edges, key=lambda edge: (str(edge[0]), str(edge[1]))):
            if source in order and target in order and target not in self.successors[source]:
                self.successors[source].append(target)
        self.blocks = [_Block(members) for members in strongly_connected(self.successors)]
        self.home = {guid: index for index, block in enumerate(self.blocks) for guid in block.members}
        self.roots: list[int] = []
        self.entries: dict[uuid.UUID, int] = {}
        """How many blocks of the tidy tree enter a ring by this member."""

    def hang(self, index: int) -> None:
        """Set a block's layer, and hang it on the farthest successor: no edge of the tidy tree skips a layer."""
        block = self.blocks[index]
        exits = [target for guid in block.members for target in self.successors[guid] if self.home[target] != index]
        if not exits:
            self.roots.append(index)
            return
        parent = max(exits, key=lambda guid: self.blocks[self.home[guid]].layer)
        block.layer = self.blocks[self.home[parent]].layer + 1
        self.blocks[self.home[parent]].feeders.append(index)
        self.entries[parent] = self.entries.get(parent, 0) + 1

    def stack(self, index: int, top: float, spacing: Spacing) -> float:
        """Give a block and all that hangs on it their rows from ``top`` down; return where the next may begin."""
        pending = [(index, False)]
        tops: dict[int, float] = {}
        cursor = top
        while pending:
            current, done = pending.pop()
            block = self.blocks[current]
            if not done:
                tops[current] = cursor
                pending.append((current, True))
                pending += [(feeder, False) for feeder in reversed(block.feeders)]
                continue
            cursor = self._centre(block, tops[current], cursor, spacing)
        return cursor

    def _centre(self, block: _Block, top: float, bottom: float, spacing: Spacing) -> float:
        """Put a block in the middle of its feeders, which fill ``top`` to ``bottom``, and return its own bottom."""
        spare = block.height - (bottom - top - spacing.row_gap)
        if spare > 0 and block.feeders:
            self._shift(block.feeders, spare / 2)
        own = max(bottom - spacing.row_gap, top + block.height)
        rows = [self.blocks[feeder].y for feeder in block.feeders]
        middle = (rows[0] + rows[-1]) / 2 if rows else (top + own) / 2
        # A middle too near an end would let a tall ring reach into its neighbours.
        block.y = min(max(middle, top + block.height / 2), own - block.height / 2)
        return own + spacing.row_gap

    def _shift(self, indices: list[int], by: float) -> None:
        pending = list(indices)
        while pending:
            block = self.blocks[pending.pop()]
            block.y += by
            pending += block.feeders


def _shape(block: _Block, graph: _Graph, spacing: Spacing) -> None:
    """Set a block's size and the places of its members around its middle."""
    count = len(block.members)
    if count == 1:
        block.offsets, block.width, block.height = [(0.0, 0.0)], spacing.width, spacing.height
        return
    _turn(block, graph)
    block.offsets = ring_places(count, spacing)
    block.width = 2 * max(abs(x) for x, _ in block.offsets) + spacing.width
    block.height = 2 * max(abs(y) for _, y in block.offsets) + spacing.height


def _turn(block: _Block, graph: _Graph) -> None:
    """Turn a ring until the member where most trees hang stands at the left, nearest to them."""
    entries = [graph.entries.get(guid, 0) for guid in block.members]
    first = entries.index(max(entries))
    block.members = block.members[first:] + block.members[:first]
    height = {guid: -math.sin(2 * math.pi * at / len(entries)) for at, guid in enumerate(block.members)}
    # Feeders come in the order, top to bottom, of the members that they enter by: fewer lines cross.
    block.feeders.sort(key=lambda index: _entry_height(graph, index, height))


def _entry_height(graph: _Graph, index: int, height: Mapping[uuid.UUID, float]) -> float:
    targets = [height[t] for guid in graph.blocks[index].members for t in graph.successors[guid] if t in height]
    return targets[0] if targets else 0.0


def _to_columns(blocks: list[_Block], spacing: Spacing) -> None:
    """Give each layer a column, terminals at the right; a picture too wide goes on in a band below."""
    layers: dict[int, list[_Block]] = {}
    for block in blocks:
        layers.setdefault(block.layer, []).append(block)
    bands: list[list[_Block]] = [[]]
    left = 0.0
    for layer in sorted(layers, reverse=True):
        width = max(block.width for block in layers[layer])
        if left and left + width > spacing.widest:
            bands.append([])
            left = 0.0
        for block in layers[layer]:
            block.x = left + width / 2
        bands[-1] += layers[layer]
        left += width + spacing.column_gap
    _below_each_other(bands, spacing)


def _below_each_other(bands: list[list[_Block]], spacing: Spacing) -> None:
    top = 0.0
    for band in filter(None, bands):
        rise = min(block.y - block.height / 2 for block in band)
        for block in band:
            block.y += top - rise
        top = max(block.y + block.height / 2 for block in band) + 3 * spacing.row_gap
