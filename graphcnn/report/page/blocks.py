"""The blocks that a network is drawn in, so that hundreds of layers stay readable.

A block is a set of layers that can be drawn as one box without a cycle: no path leaves it and comes
back. Blocks are, in this order:

1. the blocks and repeats of a model file, and the models in models of Keras;
2. layers of a Keras model whose names begin with the same numbered words, such as
   ``conv3_block2_1_conv`` and ``conv3_block2_2_bn``;
3. where a long list of layers is left, the pieces between the places in the order of execution
   where few values are live: the inputs of the next cell and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, takewhile

import networkx

from graphcnn.graph import Graph, Node

_MOST_ITEMS = 30
"""A list of more layers and blocks than this is cut into pieces."""

_SMALLEST, _LARGEST = 4, 80
"""The layers of a block that is found by names or by cutting; what is written may be smaller."""

_MOST_LIVE = 4
"""Where more values than these are live, no piece ends."""

_COUNTED = re.compile(r" \d+ of \d+$")
_NUMBERED = re.compile(r"\d(?!d(?:$|[_.]))")
"""A word with a number, which ``conv2d`` is not."""


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a network that is drawn as one box, or opened.

    Attributes:
        label: What it is called.
        prefix: What the names of its layers begin with and need not be shown.
        items: Its layers, by their place in the graph's order, and blocks, each after its inputs.
        members: All layers in it.
    """

    label: str
    prefix: str
    items: tuple[Item, ...]
    members: tuple[int, ...]


Item = int | Block
_Path = tuple[tuple[str, int], ...]


def block_tree(graph: Graph) -> Block:
    """The whole network as a block."""
    return _Finder(graph).whole()


def members_of(item: Item) -> tuple[int, ...]:
    """The layers of an item, by their place in the graph's order."""
    return item.members if isinstance(item, Block) else (item,)


class _Finder:
    def __init__(self, graph: Graph) -> None:
        self._names = [node.name for node in graph]
        places = {name: place for place, name in enumerate(self._names)}
        self._users: list[list[int]] = [[] for _ in self._names]
        for node in graph:
            for source in dict.fromkeys(node.inputs):
                self._users[places[source]].append(places[node.name])
        self._paths = list(_paths(graph))

    def whole(self) -> Block:
        return self._block("", "", range(len(self._names)), 0)

    def _block(self, label: str, prefix: str, members: Sequence[int], depth: int) -> Block:
        """A block of these layers, which share the first parts of their paths."""
        groups = list(self._groups(members, depth))
        inner = [self._block(*self._title(group, at), group, at + 1) for group, at in groups]
        grouped = {place for group, _ in groups for place in group}
        left = [place for place in members if place not in grouped]
        items = self._cut(self._ordered([*left, *inner]))
        return Block(label, prefix, tuple(items), tuple(members))

    def _title(self, group: Sequence[int], depth: int) -> tuple[str, str]:
        """What a group is called, and what its layers' names begin with."""
        label, run = self._paths[group[0]][depth]
        words = zip(*(self._names[place].split("/")[:-1] for place in group), strict=False)
        common = [found[0] for found in takewhile(lambda found: len({*found}) == 1, words)]
        return label.rpartition("/")[2], "/".join(common) if run else label

    def _groups(self, members: Sequence[int], depth: int) -> Iterator[tuple[list[int], int]]:
        """Disjoint groups of layers whose paths agree at a depth, all of them drawable at once."""
        accepted: list[list[int]] = []

        def search(some: Sequence[int], depth: int) -> Iterator[tuple[list[int], int]]:
            for group in self._alike(some, depth):
                smallest = 2 if self._is_written(group[0], depth) else _SMALLEST
                if len(group) < smallest:
                    continue
                if len(group) < len(members) and self._drawable(members, [*accepted, group]):
                    accepted.append(group)
                    yield group, depth
                else:
                    yield from search(group, depth + 1)

        yield from search(members, depth)

    def _alike(self, members: Sequence[int], depth: int) -> list[list[int]]:
        groups: dict[tuple[str, int], list[int]] = {}
        for place in members:
            if len(self._paths[place]) > depth:
                groups.setdefault(self._paths[place][depth], []).append(place)
        return list(groups.values())

    def _is_written(self, place: int, depth: int) -> bool:
        """Whether a part of a path is a block or a model, not a guess from names."""
        label, run = self._paths[place][depth]
        return run > 0 or self._names[place].startswith(f"{label}/")

    def _drawable(self, members: Sequence[int], groups: list[list[int]]) -> bool:
        """Whether no path leaves a group and comes back. Pieces of the order are all drawable."""
        order = {place: index for index, place in enumerate(members)}
        if all(order[group[-1]] - order[group[0]] == len(group) - 1 for group in groups):
            return True
        owner = {place: group[0] for group in groups for place in group}
        return networkx.is_directed_acyclic_graph(self._quotient(members, owner))

    def _quotient(self, members: Sequence[int], owner: dict[int, int]) -> networkx.DiGraph[int]:
        """The layers with each group as one; `owner` gives the first layer of a group."""
        inside = set(members)
        quotient: networkx.DiGraph[int] = networkx.DiGraph()
        quotient.add_nodes_from(owner.get(place, place) for place in members)
        for place in members:
            for user in self._users[place]:
                ends = owner.get(place, place), owner.get(user, user)
                if user in inside and ends[0] != ends[1]:
                    quotient.add_edge(*ends)
        return quotient

    def _ordered(self, items: list[Item]) -> list[Item]:
        """Items, each after those that it takes values of, else in the order of their layers."""
        first = {members_of(item)[0]: item for item in items}
        owner = {place: key for key, item in first.items() for place in members_of(item)}
        quotient = self._quotient(list(owner), owner)
        return [first[key] for key in networkx.lexicographical_topological_sort(quotient)]

    def _cut(self, items: list[Item], live: int = 1) -> list[Item]:
        """Items, with the pieces between places where few values are live as blocks.

        The layers of a piece that is too small go into the next block, but for a long chain.
        """
        if len(items) <= _MOST_ITEMS or live > _MOST_LIVE:
            return items
        pieces = _split(items, [width <= live for width in self._widths(items)])
        if len(pieces) == 1:
            return self._cut(items, live + 1)
        result: list[Item] = []
        carried: list[Item] = []
        for piece in pieces:
            if len(piece) < _SMALLEST:
                carried += piece
                continue
            if live == 1 and len(carried) >= _SMALLEST:
                result, carried = [*result, *carried], []
            piece, carried = [*carried, *piece], []
            result += self._cut(piece, live + 1) if len(piece) > _LARGEST else [self._piece(piece)]
        is_block = live > 1 and len(carried) >= _SMALLEST
        return [*result, self._piece(carried)] if is_block else [*result, *carried]

    def _piece(self, items: list[Item]) -> Block:
        """A block of a piece of the order, called by the layer that it ends in."""
        members = sorted(place for item in items for place in members_of(item))
        label = self._names[members_of(items[-1])[-1]]
        return Block(label, "", tuple(items), tuple(members))

    def _widths(self, items: Sequence[Item]) -> list[int]:
        """How many values are live between each item and the next."""
        at = {place: index for index, item in enumerate(items) for place in members_of(item)}
        change = [0] * len(items)
        for place, start in at.items():
            stop = max((at[user] for user in self._users[place] if user in at), default=start)
            if stop > start:
                change[start] += 1
                change[stop] -= 1
        return list(accumulate(change))


def _split(items: list[Item], ends: Sequence[bool]) -> list[list[Item]]:
    pieces: list[list[Item]] = [[]]
    for item, end in zip(items, ends, strict=True):
        pieces[-1].append(item)
        if end:
            pieces.append([])
    return [piece for piece in pieces if piece]


def _paths(graph: Graph) -> Iterator[_Path]:
    """The blocks around each layer, outermost first, and which run of layers of this label it is.

    Repeats without a name are told apart by their runs; a guess from a name is of run 0.
    """
    before: _Path = ()
    count = 0
    for node in graph:
        if node.location is None:
            yield _guessed(node)
            continue
        path: _Path = ()
        for at, label in enumerate(node.location.scope):
            if before[:at] == path and before[at : at + 1] and before[at][0] == label:
                path = before[: at + 1]
                continue
            count += 1
            path = (*path, (label, count if _COUNTED.search(label) else 1))
        before = path
        yield path


def _guessed(node: Node) -> _Path:
    """The models and numbered words that a name begins with, each with those before it."""
    ends = [match.start() for match in re.finditer(r"[/_.]", node.name)]
    heads = [(node.name[:end], node.name[end]) for end in ends if end]
    return tuple(
        (head, 0)
        for head, mark in heads
        if mark == "/" or _NUMBERED.search(re.split(r"[/_.]", head)[-1])
    )
