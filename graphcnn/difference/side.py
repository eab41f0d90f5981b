"""One of two models: its layers and costs, in words that can be compared with another's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

from graphcnn import metadata as keys
from graphcnn.graph import Graph, Node
from graphcnn.naming import snake_case
from graphcnn.onnx_file import OnnxFile, OnnxNode, OnnxValue
from graphcnn.ops import Input
from graphcnn.options import field_values
from graphcnn.passes import LayerSummary, summarize
from graphcnn.text import non_defaults, print_options
from graphcnn.types import Dim

Model: TypeAlias = Graph | OnnxFile

_DIGESTS = (keys.WEIGHTS, keys.MODEL)
"""Metadata that change with the values of weights, and with the file they came from."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What a layer or a model costs on one sample.

    Attributes:
        params: Parameters.
        macs: Multiply-accumulates; None where they cannot be told.
        activation_bytes: The bytes of a layer's value, or of a model the peak of what is live; None
            where a size is open.
        bytes: The bytes of a layer's weights, of a model's weights, or of an .onnx file.
    """

    params: int = 0
    macs: Dim | None = 0
    activation_bytes: Dim | None = 0
    bytes: int = 0


@dataclass(frozen=True)
class Layer:
    """A layer of a model, or a node or an input of an .onnx file.

    Attributes:
        name: Its name, which no other layer of the model has.
        op: Its operator.
        title: The operator with those of its arguments that were given.
        attributes: All its arguments, in words.
        inputs: The layers that it follows.
        output: The type of what it makes.
        costs: What it costs.
        scope: Where its name was made from its operator's, as in ``block_1/conv2d_3``: what stands
            before that. None where somebody chose the name.
    """

    name: str
    op: str
    title: str
    attributes: Mapping[str, str]
    inputs: tuple[str, ...]
    output: str
    costs: Costs
    scope: str | None

    @cached_property
    def signature(self) -> tuple[object, ...]:
        """What it does, whatever it is called and wherever it stands."""
        return self.op, tuple(sorted(self.attributes.items()))


@dataclass(frozen=True, slots=True)
class Side:
    """One of two models.

    Attributes:
        layers: Its layers, in order, inputs included.
        costs: What it costs.
        facts: What else is known of it, in words.
    """

    layers: tuple[Layer, ...]
    costs: Costs
    facts: Mapping[str, str]


def side_of(model: Model) -> Side:
    """A model's layers and costs."""
    return _of_graph(model) if isinstance(model, Graph) else _of_file(model)


def _of_graph(graph: Graph) -> Side:
    summary = summarize(graph)
    return Side(
        layers=tuple(map(_layer, graph, summary.layers)),
        costs=Costs(summary.total_params, summary.macs, summary.peak.bytes, summary.model_bytes),
        facts={
            "outputs": ", ".join(k if k == v else f"{k}={v}" for k, v in graph.outputs.items()),
            "classes": ", ".join(graph.classes),
        },
    )


def _layer(node: Node, row: LayerSummary) -> Layer:
    shared = {f"weights.{k}": v for k, v in node.weights.items() if v != f"{node.name}/{k}"}
    values = {} if isinstance(node.op, Input) else field_values(node.op)
    given = {k: v for k, v in non_defaults(node.op).items() if k in values}
    return Layer(
        name=node.name,
        op=row.op,
        title=f"{row.op}({', '.join(print_options({**given, **shared}))})",
        attributes={k: print_options({"": v})[0][1:] for k, v in (values | shared).items()},
        inputs=node.inputs,
        output=str(row.output),
        costs=Costs(row.params, row.macs, row.activation_bytes, row.weight_bytes),
        scope=_scope(node.name, row.op),
    )


def _of_file(file: OnnxFile) -> Side:
    names = {node.name for node in file.nodes}
    maker = {v.name: f"{v.name} (input)" if v.name in names else v.name for v in file.inputs}
    inputs = [
        Layer(
            name=maker[value.name],
            op="Input",
            title="Input()",
            attributes={},
            inputs=(),
            output=f"{_typed(value)} {value.layout}".rstrip(),
            costs=Costs(activation_bytes=value.of_one_sample(file.batch).bytes),
            scope=None,
        )
        for value in file.inputs
    ]
    maker |= {value.name: node.name for node in file.nodes for value in node.outputs}
    return Side(
        layers=(*inputs, *(_node(node, maker) for node in file.nodes)),
        costs=Costs(file.params, file.macs, file.peak.bytes, file.bytes),
        facts={
            "outputs": ", ".join(f"{v.name} {_typed(v)}" for v in file.outputs),
            "producer": file.producer,
            "IR version": str(file.ir_version),
            "opset": ", ".join(f"{k} {v}" for k, v in sorted(file.opsets.items())),
            **{key: text for key, text in file.metadata.items() if key not in _DIGESTS},
        },
    )


def _node(node: OnnxNode, maker: Mapping[str, str]) -> Layer:
    sizes = ("x".join(map(str, weight.shape or ())) or "scalar" for weight in node.weights)
    weights = {"weights": f"[{', '.join(sizes)}]"} if node.weights else {}
    attributes = {**node.attributes, **weights}
    layer = node.origin.layers[0] if node.origin else None
    return Layer(
        name=node.name,
        op=node.op,
        title=f"{node.op}({', '.join(f'{k}={v}' for k, v in attributes.items())})",
        attributes=attributes,
        inputs=tuple(maker[name] for name in node.inputs if name in maker),
        output=", ".join(map(_typed, node.outputs)),
        costs=Costs(node.params, node.macs, node.activation_bytes, node.weight_bytes),
        scope=_scope(layer.name, layer.title) if layer else _scope(node.name, node.op),
    )


def _typed(value: OnnxValue) -> str:
    """The type of a value; an open batch is N, whatever the file calls it."""
    if value.shape and isinstance(value.shape[0], str):
        value = replace(value, shape=("N", *value.shape[1:]))
    return str(value)


def _scope(name: str, title: str) -> str | None:
    """What stands before a name that was made from an operator's, if it was."""
    scope, _, last = name.rpartition("/")
    stems = f"{re.escape(title)}|{re.escape(snake_case(title))}"
    return scope if re.fullmatch(rf"(?:{stems})(?:_\d+)?", last) else None
