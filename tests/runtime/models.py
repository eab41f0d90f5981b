"""Models made to measure, and what other tools write."""

from __future__ import annotations

from pathlib import Path

import onnx

import graphcnn
from graphcnn.graph import Graph
from graphcnn.ops import Rescaling


def identity_model(
    path: Path,
    sizes: tuple[int, ...],
    *,
    input_layout: str = "nchw",
    batch: int | None = None,
) -> Path:
    """A model that gives back what it gets, for sizes without the batch, channels last."""
    graph = Graph("identity", batch)
    image = graph.input("image", sizes)
    graph.outputs["same"] = graph.add(Rescaling(scale=1.0), image, name="same")
    graphcnn.compile(graph, path, seed=0, input_layout=input_layout)  # type: ignore[arg-type]
    return path


def edit_metadata(path: Path, **changes: str | None) -> None:
    """Change ``graphcnn.KEY`` entries of a file, or remove them with None."""
    model = onnx.load(path)
    found = {item.key: item.value for item in model.metadata_props}
    found |= {f"graphcnn.{key}": value for key, value in changes.items()}
    del model.metadata_props[:]
    kept = {key: value for key, value in found.items() if value is not None}
    onnx.helper.set_model_props(model, kept)
    onnx.save(model, path)


def plain_model(path: Path, shape: tuple[int | str, ...], kind: int, operator: str) -> Path:
    """A file of another tool: one operator from ``x`` to ``y``, without metadata."""
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(operator, ["x"], ["y"])],
        "plain",
        [value("x", kind, shape)],
        [value("y", kind, None)],
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path
