"""Where the parts of each block are drawn, layered from the top down.

Each block is laid out on its own, so that the page can open and close blocks by putting layouts
together. A block's picture holds its items, a port at the top for every value that comes in, one at
the bottom for every value that goes out, and a bend wherever a line passes a row. Rows are the
longest paths from the top; an item with fewer inputs than users stands right above its users.
igraph's Sugiyama layout puts each row in an order with few crossings, and gives positions along it
for boxes of one size. The page moves them apart to fit the boxes that there are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from graphcnn.errors import MissingExtra
from graphcnn.graph import Graph

from .blocks import Block, Item, members_of

Kind = Literal["item", "in", "out", "bend"]
_KINDS: tuple[Kind, ...] = ("item", "in", "out", "bend")


@dataclass(slots=True)
class Picture:
    """The layout of one block.

    Attributes:
        block: The block.
        parent: The place of the block around it among all pictures; None for the whole network.
        vertices: Items, ports and bends: what each is, and the item's number or the value's. The
            number of a layer is its place in the graph's order, that of a block is its picture's
            place times -1.
        edges: Lines from one row to the next: two vertices, and the value.
        rows: The row of each vertex.
        across: The position of each vertex along its row.
    """

    block: Block
    parent: int | None
    vertices: list[tuple[Kind, int]] = field(default_factory=list)
    edges: list[tuple[int, int, int]] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    across: list[float] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The picture as the page reads it, numbers only but for the label."""
        shown = zip(self.vertices, self.rows, self.across, strict=True)
        return {
            "label": self.block.label,
            "prefix": self.block.prefix,
            "parent": self.parent,
            "size": len(self.block.members),
            "v": [[_KINDS.index(kind), ref, row, round(x, 2)] for (kind, ref), row, x in shown],
            "e": [list(edge) for edge in self.edges],
        }


def pictures(graph: Graph, whole: Block) -> list[Picture]:
    """The layout of every block, the whole network first.

    Raises:
        MissingExtra: igraph is not installed.
    """
    found = [Picture(whole, None)]
    chains: list[tuple[int, ...]] = [(0,)] * len(graph)
    number: dict[tuple[int, int], int] = {}
    for index, picture in enumerate(found):
        for item in picture.block.items:
            ref = item if isinstance(item, int) else -len(found)
            number |= dict.fromkeys(((index, place) for place in members_of(item)), ref)
            if isinstance(item, Block):
                for place in item.members:
                    chains[place] = (*chains[place], len(found))
                found.append(Picture(item, index))
    lines = _lines(graph, chains, number)
    for index, picture in enumerate(found):
        _place(picture, [number[index, _first(item)] for item in picture.block.items], lines[index])
    return found


def _first(item: Item) -> int:
    return members_of(item)[0]


_End = tuple[Kind, int]
_Lines = dict[tuple[_End, _End, int], None]


def _lines(
    graph: Graph, chains: list[tuple[int, ...]], number: dict[tuple[int, int], int]
) -> list[_Lines]:
    """The lines in each picture: a value that crosses a block's border does so at a port."""
    places = {node.name: place for place, node in enumerate(graph)}
    lines: list[_Lines] = [{} for _ in range(max(chain[-1] for chain in chains) + 1)]
    for user, node in enumerate(graph):
        for source in map(places.__getitem__, node.inputs):
            shared = set(chains[source]) & set(chains[user])
            meeting = max(shared)
            ends: tuple[_End, _End]
            ends = ("item", number[meeting, source]), ("item", number[meeting, user])
            lines[meeting][*ends, source] = None
            for index in set(chains[source]) - shared:
                lines[index][("item", number[index, source]), ("out", source), source] = None
            for index in set(chains[user]) - shared:
                lines[index][("in", source), ("item", number[index, user]), source] = None
    return lines


def _place(picture: Picture, items: list[int], lines: _Lines) -> None:
    """Fill a picture in: rows first, then bends, then positions along the rows."""
    ends = dict.fromkeys(end for a, b, _ in lines for end in (a, b))
    rows = _rows(items, list(lines))
    last = max(rows.values(), default=0)
    rows |= {end: 0 if end[0] == "in" else last + 1 for end in ends if end[0] != "item"}
    used = {row: index for index, row in enumerate(sorted({*rows.values()}))}
    rows = {end: used[row] for end, row in rows.items()}
    at = {end: index for index, end in enumerate(rows)}
    picture.vertices, picture.rows = list(rows), list(rows.values())
    bends: dict[tuple[_End, int], list[int]] = {}
    for start, end, value in lines:
        before = at[start]
        passed = bends.setdefault((start, value), [])
        for step, row in enumerate(range(rows[start] + 1, rows[end])):
            if step == len(passed):
                passed.append(len(picture.vertices))
                picture.vertices.append(("bend", value))
                picture.rows.append(row)
                picture.edges.append((before, passed[step], value))
            before = passed[step]
        picture.edges.append((before, at[end], value))
    picture.across = _across(picture)


def _rows(items: list[int], lines: list[tuple[_End, _End, int]]) -> dict[_End, int]:
    """The row of each item, from 1; items come after those that they take values of."""
    inputs: dict[int, list[int]] = {item: [] for item in items}
    users: dict[int, list[int]] = {item: [] for item in items}
    entering = dict.fromkeys(items, 0)
    for (from_kind, start), (to_kind, end), _ in lines:
        entering[end] = entering.get(end, 0) + 1
        if from_kind == to_kind == "item":
            inputs[end].append(start)
            users[start].append(end)
    rows: dict[int, int] = {}
    for item in items:
        rows[item] = 1 + max((rows[source] for source in inputs[item]), default=0)
    for item in reversed(items):
        if users[item] and entering[item] < len(users[item]):
            rows[item] = min(rows[user] for user in users[item]) - 1
    return {("item", item): row for item, row in rows.items()}


def _across(picture: Picture) -> list[float]:
    try:
        import igraph
    except ImportError:
        raise MissingExtra("igraph", "report") from None
    edges = [(a, b) for a, b, _ in picture.edges]
    drawn = igraph.Graph(len(picture.vertices), edges, directed=True)
    return [x for x, _ in drawn.layout_sugiyama(layers=picture.rows)][: len(picture.vertices)]
