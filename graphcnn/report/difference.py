"""How two models differ: as tables for a terminal, as markdown for a pull request, as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from graphcnn.difference import Change, Costs, Difference, Layer, LayerChange
from graphcnn.types import Dim

from . import format as fmt

_COSTS: dict[str, tuple[str, str, Callable[[Dim | None], str]]] = {
    "params": ("params", "parameters", fmt.count),
    "macs": ("MACs", "multiply-accumulates", fmt.count),
    "activation_bytes": ("activation", "peak activation memory", fmt.size_in_bytes),
    "bytes": ("weights", "size", fmt.size_in_bytes),
}
"""What each of `Costs` is called for a layer and in total, and how it is written."""

_COLOURS = {"added": "green", "removed": "red", "changed": "yellow", "renamed": "cyan"}
_MOST_OPEN = 20
"""More layers than this are folded away in markdown."""

_LONGEST = 120
"""More characters than this of one thing are cut for people."""


def difference_json(difference: Difference, old: str, new: str) -> dict[str, Any]:
    """The difference as JSON values; an open size is its expression, what is not known null.

    Args:
        difference: How the two differ.
        old: What the first is called.
        new: What the second is called.
    """
    return {
        "old": old,
        "new": new,
        "differ": bool(difference),
        "totals": _costs_json(difference.old_costs, difference.new_costs),
        "facts": [_change_json(change) for change in difference.facts],
        "layers": [_layer_json(change) for change in difference.layers],
        "unchanged": difference.unchanged,
    }


def _layer_json(change: LayerChange) -> dict[str, Any]:
    return {
        "change": change.kind,
        "name": change.layer.name,
        "old": _side_json(change.old),
        "new": _side_json(change.new),
        "changes": [_change_json(item) for item in change.changes],
        "costs": _costs_json(change.old_costs, change.new_costs),
    }


def _side_json(layer: Layer | None) -> dict[str, Any] | None:
    if layer is None:
        return None
    return {
        "name": layer.name,
        "op": layer.op,
        "attributes": dict(layer.attributes),
        "inputs": list(layer.inputs),
        "output": layer.output,
    }


def _change_json(change: Change) -> dict[str, Any]:
    return {"what": change.what, "old": change.old, "new": change.new}


def _costs_json(old: Costs, new: Costs) -> dict[str, Any]:
    found = {}
    for key in _COSTS:
        before, after = getattr(old, key), getattr(new, key)
        by = _by(before, after)
        found[key] = {
            "old": fmt.plain(before),
            "new": fmt.plain(after),
            "difference": fmt.plain(by),
            "percent": _percent(before, by),
        }
    return found


def _by(old: Dim | None, new: Dim | None) -> Dim | None:
    return None if old is None or new is None else new - old


def _percent(old: Dim | None, by: Dim | None) -> float | None:
    if not isinstance(old, int) or not isinstance(by, int) or not old:
        return None
    return round(100 * by / old, 2)


def difference_table(difference: Difference, old: str, new: str) -> Group:
    """The difference as a rich renderable."""
    layers = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in ("", "layer", "what"):
        layers.add_column(column, overflow="fold")
    for column, _, _ in _COSTS.values():
        layers.add_column(column, justify="right")
    for change in difference.layers:
        style = _COLOURS[change.kind]
        what = "\n".join(_what(change))
        cells = [Text(change.kind, style=style), Text(_cut(change.layer.name)), Text(what)]
        layers.add_row(*cells, *map(Text, _differences(change)))
    totals = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    totals.add_column("total")
    for column in ("old", "new", "difference", ""):
        totals.add_column(column, justify="right")
    for row in _totals(difference):
        totals.add_row(*map(Text, row))
    title = Text(f"{_cut(old)} -> {_cut(new)}: {_counted(difference)}", style="bold")
    facts = [Text(_in_words(change)) for change in difference.facts]
    return Group(title, *facts, *([layers] if difference.layers else []), totals)


def difference_markdown(difference: Difference, old: str, new: str) -> str:
    """The difference as markdown: the totals, and under them each layer."""
    parts = [
        f"### {_code(_cut(old))} → {_code(_cut(new))}",
        _counted(difference),
        _markdown_table(("", "old", "new", "difference", ""), _totals(difference), left=1),
        "\n".join(f"- {_code(_in_words(change))}" for change in difference.facts),
    ]
    if difference.layers:
        head = ("", "layer", "what", *(column for column, _, _ in _COSTS.values()))
        rows = [
            (
                change.kind,
                _code(_cut(change.layer.name)),
                "<br>".join(map(_code, _what(change))),
                *_differences(change),
            )
            for change in difference.layers
        ]
        table = _markdown_table(head, rows, left=3)
        count = len(difference.layers)
        folded = f"<details><summary>{count} layers</summary>\n\n{table}\n\n</details>"
        parts.append(folded if count > _MOST_OPEN else table)
    return "\n\n".join(part for part in parts if part)


def _markdown_table(head: tuple[str, ...], rows: list[tuple[str, ...]], left: int) -> str:
    lines = [head, tuple("---" if i < left else "---:" for i in range(len(head))), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _code(text: str) -> str:
    """Text that markdown prints as it is, in the cell of a table too."""
    return f"`{text.replace('`', chr(39)).replace('|', chr(92) + '|')}`"


def _counted(difference: Difference) -> str:
    """How many layers there are of each kind of change."""
    if not difference:
        return "no difference"
    kinds = Counter[str](change.kind for change in difference.layers)
    counts = [f"{kinds[kind]} {kind}" for kind in _COLOURS if kinds[kind]]
    return f"{', '.join(counts) or 'no layer differs'}, {difference.unchanged} as they were"


def _totals(difference: Difference) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for key, (_, label, words) in _COSTS.items():
        old, new = getattr(difference.old_costs, key), getattr(difference.new_costs, key)
        by = _by(old, new)
        rows.append((label, words(old), words(new), _signed(by, words), _share(old, by)))
    return rows


def _differences(change: LayerChange) -> Iterator[str]:
    """By how much each of a layer's costs differs; nothing where it does not."""
    for key, (_, _, words) in _COSTS.items():
        old, new = getattr(change.old_costs, key), getattr(change.new_costs, key)
        by = _by(old, new)
        share = _share(old, by) if change.old and change.new else ""
        text = f"{_signed(by, words)} ({share})" if share else _signed(by, words)
        yield "" if old == new else text


def _signed(by: Dim | None, words: Callable[[Dim | None], str]) -> str:
    if not isinstance(by, int):
        return words(by)
    return f"{'+' if by > 0 else '-' if by < 0 else ''}{words(abs(by))}"


def _share(old: Dim | None, by: Dim | None) -> str:
    share = _percent(old, by)
    return f"{share:+.1f}%" if share else ""


def _what(change: LayerChange) -> list[str]:
    """What happened to a layer, a line for each thing."""
    if change.kind in ("added", "removed"):
        layer = change.layer
        return [_cut(layer.title), _cut(layer.output)]
    return [_in_words(item) for item in change.changes]


def _in_words(change: Change) -> str:
    old, new = (_cut(text) if text else "none" for text in (change.old, change.new))
    return f"{_cut(change.what)}: {old} -> {new}"


def _cut(text: str) -> str:
    shown = fmt.printable(text[: _LONGEST + 1])
    return shown if len(text) <= _LONGEST else f"{shown[: _LONGEST - 3]}..."
