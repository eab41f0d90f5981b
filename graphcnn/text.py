"""A graph in words: one line a node, for people, golden files and ``--print-after``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .options import Options, field_values, option_fields
from .types import LAST, DType

if TYPE_CHECKING:
    from .graph import Graph, Node


def print_graph(graph: Graph, origins: bool = True) -> str:
    """The graph, its nodes in order, each with its type and layout, and the line it came from."""
    rows = [_row(graph, node, origins) for node in graph]
    width = max((len(row[0]) for row in rows), default=0)
    lines = [f"  {text:<{width}}  {rest}".rstrip() for text, rest in rows]
    results = ", ".join(k if k == v else f"{k}={v}" for k, v in graph.outputs.items())
    head = f"graph {graph.name} (batch {graph.batch or 'N'})"
    return "\n".join([head, *lines, f"  return {results}"])


def _row(graph: Graph, node: Node, origins: bool) -> tuple[str, str]:
    default = {role: f"{node.name}/{role}" for role in node.weights}
    shared = {f"weights.{k}": v for k, v in node.weights.items() if v != default[k]}
    arguments = [*node.inputs, *print_options({**non_defaults(node.op), **shared})]
    text = f"{node.name} = {node.op.title}({', '.join(arguments)})"
    rest = f": {graph.type(node.name)}"
    if node.layout != LAST:
        rest += f" {node.layout}"
    if node.location and origins:
        rest += f"  # line {node.location.line}"
    return text, rest


def non_defaults(options: Options) -> dict[str, Any]:
    """The fields that differ from their defaults, in the order they are declared."""
    found = field_values(options)
    return {
        field.name: found[field.name]
        for field in option_fields(type(options))
        if found[field.name] != field.default
    }


def print_options(values: Mapping[str, Any]) -> list[str]:
    """Each option as ``key=value``."""
    return [f"{key}={_print(value)}" for key, value in values.items()]


def _print(value: Any) -> str:
    if isinstance(value, Options):
        fields = print_options(non_defaults(value))
        return f"{type(value).__name__}({', '.join(fields)})" if fields else type(value).__name__
    if isinstance(value, DType):
        return str(value)
    if isinstance(value, tuple):
        return f"[{', '.join(map(_print, value))}]"
    return str(value)
