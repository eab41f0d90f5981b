"""An operator and a pass of your own, from outside the package.

Run it with ``python examples/custom_operator.py``: it registers both, reads a model that uses the
operator, and compiles it. Nothing in graphcnn needs to know about this file.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import graphcnn
from graphcnn.ops import Cost, FollowOp, Lowering, Reach
from graphcnn.passes import Explain
from graphcnn.types import TensorType


@graphcnn.register
class ScaledTanh(FollowOp):
    """``amplitude * tanh(slope * x)``, the activation of LeNet-5. Source: LeCun et al. 1998."""

    amplitude: float = 1.7159
    slope: float = 2 / 3

    def infer(self, *inputs: TensorType) -> TensorType:
        """The input's own type."""
        return inputs[0]

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        """Two products and a tanh, counted as four operations, for each element."""
        return Cost(other=6 * output.elements)

    def reach(self, *inputs: TensorType) -> tuple[Reach, ...] | None:
        """Each element depends on its own position only."""
        return (Reach(),) * len(inputs[0].spatial)

    def lower(self, ctx: Lowering) -> str:
        """Mul, Tanh, Mul."""
        inner = ctx.emit("Mul", [ctx.operands[0], ctx.constant(self.slope)])
        return ctx.emit("Mul", [ctx.emit("Tanh", [inner]), ctx.constant(self.amplitude)])


@dataclass(frozen=True, kw_only=True)
class DropUnitScaling(graphcnn.Pass):
    """Remove a ScaledTanh's neighbour that does nothing: a Rescaling by 1 with no offset."""

    name: ClassVar[str] = "drop-unit-scaling"

    def run(self, graph: graphcnn.Graph, explain: Explain) -> bool:
        """Redirect the users of such a layer to its input."""
        found = [node for node in graph if node.op.title == "Rescaling"]
        changed = False
        for node in found:
            if vars(node.op) != {"scale": 1.0, "offset": 0.0}:
                explain(node.name, "kept: it changes its input")
                continue
            graph.redirect(node.name, node.inputs[0])
            graph.erase(node.name)
            explain(node.name, "removed: it multiplies by 1")
            changed = True
        return changed


MODEL = """
inputs:
  image: [28, 28, 1]
layers:
  - Rescaling: {scale: 1.0}
  - Conv2D: {filters: 6, kernel_size: 5}
  - ScaledTanh: {slope: 0.5}
  - Flatten
  - Dense: {units: 10, activation: softmax, name: scores}
"""


def main() -> None:
    """Compile the model into a temporary folder, and print what the passes did."""
    graphcnn.register_pass(DropUnitScaling())
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "scaled_tanh.yaml"
        model.write_text(MODEL)
        graph = graphcnn.load(model)
        print(graph)
        report = graphcnn.compile(graph, model.with_suffix(".onnx"))
    for record in report.passes:
        for node, reason in record.reasons:
            print(f"{record.name}: {node}: {reason}")
    print(f"{report.nodes} nodes, {report.params:,} parameters; {report.verified}")


if __name__ == "__main__":
    main()
