"""Which nodes of a file are worth putting into integers: those that onnxruntime has kernels for.

What is between two such nodes stays in integers as it passes: a maximum of bytes, a view. Any other
node is computed in float, between a DequantizeLinear and a QuantizeLinear.
"""

from __future__ import annotations

from dataclasses import dataclass

from graphcnn.graph import Origin
from graphcnn.onnx_file import OnnxFile, OnnxNode

COMPUTING = {
    "Add",
    "AveragePool",
    "Concat",
    "Conv",
    "Gemm",
    "GlobalAveragePool",
    "LeakyRelu",
    "MatMul",
    "Mul",
    "Sigmoid",
}
"""What onnxruntime's CPU provider computes on bytes: QLinearConv, QGemm, QLinearAdd and so on. Its
QLinearSoftmax is left out: probabilities in steps of 1/256 are of no use."""

PASSING = {
    "Clip",
    "Flatten",
    "Gather",
    "MaxPool",
    "Relu",
    "Reshape",
    "Resize",
    "Slice",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
}
"""What moves or picks bytes, or cuts them off where their range ends. Pad has no rule there, nor
has a Resize that interpolates: onnxruntime computes both in float, from bytes to bytes."""

WEIGHTED = {"Conv", "Gemm", "MatMul"}
"""What makes a file smaller and faster in integers: with none of these it is a float file."""

_OWN = {"Conv": "Conv", "Gemm": "Dense", "MatMul": "Dense"}
"""What the class of the layer is called that has a node's weights, where others went into it."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A node that is computed in integers, or in float.

    Attributes:
        node: Its name in the file.
        op: Its ONNX operator.
        origin: The layer that it is for; None in a file of another tool.
        names: What it can be called: the node, or any layer that went into it.
    """

    node: str
    op: str
    origin: Origin | None
    names: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """What its author calls it."""
        return self.origin.name if self.origin else self.node

    @property
    def place(self) -> str:
        """Where it was written, such as ``model.yaml:12:5``; empty where that is not known."""
        return str(self.origin.location) if self.origin and self.origin.location else ""


def quantizable(file: OnnxFile) -> tuple[Layer, ...]:
    """The nodes that can be computed in integers, in the order of the file.

    A sigmoid that is an output stays in float, as probabilities do.
    """
    given = {value.name for value in file.outputs}
    return tuple(
        _layer(node)
        for node in file.nodes
        if node.op in COMPUTING and (node.op != "Sigmoid" or given.isdisjoint(node.names))
    )


def _layer(node: OnnxNode) -> Layer:
    layers = node.origin.layers if node.origin else ()
    own = [layer for layer in layers if _OWN.get(node.op, "") in layer.title]
    origin = next(iter([*own, *layers]), None)
    return Layer(node.name, node.op, origin, frozenset({node.name, *node.layers}))
