"""A graph as a model file: one line a layer, with nothing said that goes without saying."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from graphcnn.errors import ExportError
from graphcnn.graph import Graph, Node
from graphcnn.initializers import INITIALIZERS, Initializer
from graphcnn.ops import OPS, ActivationFunction, Input
from graphcnn.ops.activations import FUNCTIONS
from graphcnn.options import Options, field_values, option_fields
from graphcnn.regularizers import REGULARIZERS, Regularizer
from graphcnn.text import non_defaults
from graphcnn.types import DType

_FIRST = ("filters", "units")
"""What comes first of a layer's options, wherever the operator has it."""

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./\-]*")
_WORDS = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
"""What some YAML parser does not read as text, in any case of its letters."""


def write_model(graph: Graph, comment: str = "") -> str:
    """The text of a model file that loads as this graph, without its budget and its recipe.

    Args:
        graph: The network, as it was loaded or built; no pass has run.
        comment: What the file begins with.

    Raises:
        ExportError: It holds what a model file cannot say.
    """
    _check(graph)
    lines = [f"# {line}".rstrip() for line in comment.splitlines()]
    lines += [f"name: {_scalar(graph.name)}", "inputs:"]
    nodes = list(graph)
    names = [node.name for node in nodes if isinstance(node.op, Input)]
    lines += [f"  {_scalar(name)}: {_flow(list(graph.type(name).sizes))}" for name in names]
    lines.append("layers:")
    before = names[0] if len(names) == 1 else None
    owners: dict[str, str] = {}
    for node in nodes:
        if not isinstance(node.op, Input):
            lines.append(f"  - {node.op.title}: {_flow(_keys(node, before, owners))}")
            before = node.name
            owners |= {weight: owners.get(weight, node.name) for weight in node.weights.values()}
    if [*graph.outputs] != [before]:
        lines.append(f"outputs: {_flow(list(graph.outputs))}")
    if graph.classes:
        lines.append(f"classes: {_flow(list(graph.classes))}")
    return "\n".join(lines) + "\n"


def _check(graph: Graph) -> None:
    for name, source in graph.outputs.items():
        if name != source:
            raise ExportError(f"the output {name} is called {source} in the graph")
    for node in graph:
        if not isinstance(node.op, Input) and OPS.get(node.op.title) is not type(node.op):
            raise ExportError(f"{node.subject} is no layer of a model file")
        if isinstance(node.op, Input) and node.op.dtype != DType.float32:
            raise ExportError(f"the input {node.name} is {node.op.dtype}, expected float32")


def _keys(node: Node, before: str | None, owners: Mapping[str, str]) -> dict[str, Any]:
    """What is said of a layer: its options, its name, and what it follows and shares."""
    given = non_defaults(node.op)
    ordered = sorted(given, key=lambda key: key not in _FIRST)
    keys: dict[str, Any] = {key: _plain(given[key]) for key in ordered}
    keys["name"] = node.name
    if node.inputs != (before,):
        keys["inputs"] = list(node.inputs)
    shared = [owners[weight] for weight in node.weights.values() if weight in owners]
    return {**keys, "shares": shared[0]} if shared else keys


def _plain(value: Any) -> Any:
    """A field's value as it is written in a model file."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, ActivationFunction):
        return _activation(value)
    if isinstance(value, Initializer):
        return _chosen(value, INITIALIZERS)
    if isinstance(value, Regularizer):
        return _chosen(value, REGULARIZERS)
    return value


def _chosen(value: Options, known: Mapping[str, type[Options]]) -> Any:
    """``name``, ``{name: value}`` or ``{name: {option: value}}``."""
    name = next(name for name, cls in known.items() if cls is type(value))
    options = {key: _plain(item) for key, item in non_defaults(value).items()}
    if list(options) == [value.short]:
        return {name: options[str(value.short)]}
    return {name: options} if options else name


def _activation(value: ActivationFunction) -> Any:
    """The activation by the name that leaves least to say."""
    found, defaults = field_values(value), {f.name: f.default for f in option_fields(type(value))}
    forms = []
    for name, (cls, preset) in FUNCTIONS.items():
        if cls is type(value):
            usual = {**defaults, **preset}
            rest = {key: _plain(item) for key, item in found.items() if item != usual[key]}
            forms.append((len(rest), name, rest))
    _, name, rest = min(forms, key=lambda form: form[0])
    return {name: rest} if rest else name


def _flow(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_scalar(k)}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    """A number or a text, in quotes where it could be read as something else."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ExportError(f"a model file cannot hold the number {value}")
        return repr(value)
    text = str(value)
    if isinstance(value, int) or (_PLAIN.fullmatch(text) and text.lower() not in _WORDS):
        return text
    return json.dumps(text, ensure_ascii=False)
