"""Translation validation: each pass is held to the numbers of the graph before it.

The graph is run on random input before the first pass and after each that changed it, as
onnxruntime runs it with its own optimiser switched off. A node's name names its value, so every
value that is there before and after must be the same. Passes reorder arithmetic, which moves a
value by float noise, a few millionths of its largest element; a wrong rewrite moves it by far more.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from graphcnn.errors import CheckFailed
from graphcnn.export import lower, plan_file, write_model
from graphcnn.graph import Graph
from graphcnn.ops import Input
from graphcnn.passes import AssignLayout, Pass, apply_passes
from graphcnn.targets import targets
from graphcnn.types import Array
from graphcnn.weights import WeightStore

from .session import first_line, open_session
from .settings import Settings
from .smoke import open_size, random_value

NOISE = {"float16": 2e-2, "float32": 1e-4}
"""How much of its largest element a value may move by; integers may not."""


class Validator:
    """Compares a graph's values before and after each pass.

    Args:
        graph: The graph before the first pass.
        store: Its weights.

    Raises:
        CheckFailed: onnxruntime cannot run the graph.
    """

    def __init__(self, graph: Graph, store: WeightStore) -> None:
        self._store, self._outputs = store, set(graph.outputs)
        rng, size = np.random.default_rng(0), open_size(graph)
        self._feeds = {
            node.name: random_value(rng, graph, node.name, size) for node in graph.inputs
        }
        self._values = self._run(graph, placed=False)

    def __call__(self, step: Pass, graph: Graph) -> None:
        """Run the graph after a pass.

        Raises:
            CheckFailed: The pass moved a value; the message names both.
        """
        values = self._run(graph, placed=isinstance(step, AssignLayout))
        if lost := self._outputs - set(graph.outputs):
            raise CheckFailed(f"pass {step.name} lost the output {min(lost)}")
        for name, value in values.items():
            moved = _moved(self._values[name], value) if name in self._values else 0.0
            if moved <= NOISE.get(value.dtype.name, 0.0):
                continue
            node = graph.node(graph.outputs.get(name, name))
            raise CheckFailed(
                f"pass {step.name} moved it by {moved:.1e} of its largest value",
                location=node.location,
                subject=node.subject,
                context=[("made of", ", ".join(layer.name for layer in node.layers))],
                hint=f"--disable {step.name} leaves the pass out; this is a defect in graphcnn",
            )
        self._values = values

    def _run(self, graph: Graph, placed: bool) -> dict[str, Array]:
        """The values by name, channels last: of every node, or once layouts are placed of outputs.

        To tap every node changes what the layout pass may do, so that pass is judged by outputs.
        """
        graph = graph.clone()
        if not placed:
            nodes = [node.name for node in graph if not isinstance(node.op, Input)]
            graph.outputs.update({name: name for name in nodes if name not in graph.outputs})
            order = {name: index for index, name in enumerate(nodes)}
            ranked = sorted(graph.outputs.items(), key=lambda item: order.get(item[1], -1))
            graph.outputs = dict(ranked)
            apply_passes(graph, [AssignLayout()])
        results = self._evaluate(graph)
        return {
            name: _channels_last(graph, source, result)
            for (name, source), result in zip(graph.outputs.items(), results, strict=True)
        }

    def _evaluate(self, graph: Graph) -> list[Array]:
        lowered = lower(graph, self._store.deriving(graph.derived), target=targets("onnxruntime"))
        feeds = {
            node.name: np.moveaxis(feed, -1, 1) if node.layout.channels_first else feed
            for node in graph.inputs
            for feed in [self._feeds[node.name]]
        }
        with TemporaryDirectory(prefix="graphcnn-") as folder:
            path = Path(folder) / "model.onnx"
            write_model(plan_file(lowered, path, "auto"), path)
            session = open_session(path, Settings(provider="cpu"), optimize=False)
            try:
                return list(session.run(list(graph.outputs), feeds))
            except Exception as error:
                raise CheckFailed(f"onnxruntime cannot run it: {first_line(error)}") from error


def _channels_last(graph: Graph, source: str, value: Array) -> Array:
    return np.moveaxis(value, 1, -1) if graph.node(source).layout.channels_first else value


def _moved(before: Array, after: Array) -> float:
    """The largest difference as a share of the largest element; what is not finite must agree."""
    if before.shape != after.shape:
        return float("inf")
    finite = np.isfinite(before)
    if not np.array_equal(before[~finite], after[~finite], equal_nan=True):
        return float("inf")
    if not np.isfinite(after[finite]).all():
        return float("inf")
    wide, found = before[finite].astype(np.float64), after[finite].astype(np.float64)
    if not wide.size:
        return 0.0
    scale = max(float(np.abs(wide).max()), float(np.finfo(np.float32).tiny))
    return float(np.abs(found - wide).max()) / scale
