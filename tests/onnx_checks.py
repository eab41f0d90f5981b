"""Checks of a compiled file that need no TensorFlow: its form, its shapes and its numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime

import graphcnn
from graphcnn.errors import ErrorGroup
from graphcnn.graph import Graph
from graphcnn.types import TensorType, is_symbolic

Array = np.ndarray[Any, np.dtype[Any]]
Arrays = Mapping[str, Array]

TOLERANCE = 1e-5
"""The largest difference, relative to the largest value of the reference."""

SHAPE_ARITHMETIC = {
    "Cast", "Constant", "ConstantOfShape", "Range", "Shape", "Size", "Squeeze", "Tile", "Unsqueeze",
}  # fmt: skip


def check_file(
    graph: Graph,
    folder: Path,
    arrays: Arrays,
    feeds: Arrays,
    expected: Arrays,
    *,
    opset: int = 17,
    layout: Literal["nchw", "nhwc"] = "nchw",
    transposes: int | None = 0,
    identities: int | None = 0,
    optimizers: Sequence[bool] = (True,),
    taps: Sequence[str] = (),
    target: str | None = None,
) -> onnx.ModelProto:
    """Compile a graph, and check the file's form, shapes and results.

    Args:
        graph: The graph.
        folder: Where the file is written.
        arrays: The weights.
        feeds: The inputs, channels last.
        expected: The results, channels last, of at least the graph's own outputs.
        opset: The opset to write.
        layout: The file's layout of inputs and outputs.
        transposes: The Transpose nodes that a channels-first file must have; a channels-last one
            may have one more for each input and output. None for any number.
        identities: The Identity nodes that it must have; None for any.
        optimizers: Whether onnxruntime may rewrite the graph, a run for each.
        taps: Nodes to make outputs too.
        target: The runtimes that it is for; all that were measured, or onnxruntime where not
            all take it, if None.

    Returns:
        The model in the file.
    """
    path = folder / f"{opset}-{layout}.onnx"
    write = partial(
        graphcnn.compile,
        graph,
        path,
        weights=graphcnn.WeightStore.from_arrays(arrays),
        opset=opset,
        input_layout=layout,
        taps=taps,
        force=True,
    )
    write(target=target) if target else write_anywhere(write)
    model = onnx.load(path)
    first = layout == "nchw"
    check_form(model, _allowed(graph, transposes, first), identities)
    check_shapes(model, graph, first)
    for optimize in optimizers:
        results = run(path, feeds, first, optimize)
        assert set(graph.outputs) <= set(results) <= set(expected)
        for name, result in results.items():
            agree(result, expected[name], name)
    return model


def write_anywhere(write: Callable[..., Any]) -> Any:
    """Compile for all runtimes, or for onnxruntime where not every one takes the model.

    Args:
        write: Compiles it for a `target`.
    """
    try:
        return write(target="portable")
    except ErrorGroup as group:
        if not all("--target onnxruntime" in (error.hint or "") for error in group.errors):
            raise
    return write(target="onnxruntime")


def _allowed(graph: Graph, transposes: int | None, first: bool) -> range:
    """The numbers of Transpose nodes that a file may have."""
    if transposes is None:
        return range(len(graph) + 1)
    if first:
        return range(transposes, transposes + 1)
    ends = [node.name for node in graph.inputs] + list(graph.outputs.values())
    return range(transposes + sum(graph.type(name).rank > 2 for name in ends) + 1)


def _is_copy(node: onnx.NodeProto) -> bool:
    """Whether a node is a second name of a value, as ncnn takes it."""
    return node.op_type == "Max" and len(node.input) == 2 and len(set(node.input)) == 1


def check_form(model: onnx.ModelProto, transposes: range, identities: int | None) -> None:
    """The file is clean: nothing computes shapes, nothing is dead, and pads are numbers."""
    counts = Counter(node.op_type for node in model.graph.node)
    assert not SHAPE_ARITHMETIC & counts.keys(), counts
    assert counts["Transpose"] in transposes, counts
    copies = [n for n in model.graph.node if n.op_type == "Identity" or _is_copy(n)]
    assert identities is None or len(copies) == identities, counts
    used = {name for node in model.graph.node for name in node.input}
    used |= {value.name for value in model.graph.output}
    made = {name for node in model.graph.node for name in node.output}
    held = {tensor.name for tensor in model.graph.initializer}
    assert held | made <= used, f"dead: {(held | made) - used}"
    for node in model.graph.node:
        given = {attribute.name for attribute in node.attribute}
        assert "auto_pad" not in given
        windowed = node.op_type in {"Conv", "ConvTranspose", "MaxPool", "AveragePool"}
        assert not windowed or "kernel_shape" in given
        assert node.doc_string or node.op_type == "Identity"


def check_shapes(model: onnx.ModelProto, graph: Graph, first: bool) -> None:
    """What onnx infers from the inputs alone is the shape that the graph has of every named value.

    A batch of unknown size has no name after a Resize, whose scales could change it.
    """
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    given = {value.name for value in bare.graph.input}
    outputs = [value for value in model.graph.output if value.name not in given]
    declared = {value.name: _shape(value) for value in outputs}
    del bare.graph.output[:]
    bare.graph.output.extend(outputs)
    for value in bare.graph.output:
        value.type.tensor_type.ClearField("shape")
    inferred = onnx.shape_inference.infer_shapes(bare, strict_mode=True, data_prop=True)
    shapes = {v.name: _shape(v) for v in (*inferred.graph.value_info, *inferred.graph.output)}
    assert {name: shape[1:] for name, shape in declared.items()} == {
        name: shapes[name][1:] for name in declared
    }
    resized = any(node.op_type == "Resize" for node in model.graph.node)
    assert resized or {shape[0] for shape in shapes.values()} <= {"N"}
    for name, source in graph.outputs.items():
        if name in given:
            assert name == source
            continue
        assert shapes[name][1:] == _in_file(graph.type(source), first), name
    results = set(graph.outputs)
    for node in graph:
        if node.name in shapes and node.name not in results:
            sizes = _in_file(graph.type(node.name), True), _in_file(graph.type(node.name), False)
            assert shapes[node.name][1:] in sizes, node.name


def _in_file(value: TensorType, first: bool) -> tuple[Any, ...]:
    sizes = value.sizes
    if first and value.rank > 2:
        sizes = (value.channels, *value.spatial)
    return tuple(str(size) if is_symbolic(size) else size for size in sizes)


def _shape(value: onnx.ValueInfoProto) -> tuple[Any, ...]:
    dims = value.type.tensor_type.shape.dim
    return tuple(dim.dim_param or dim.dim_value for dim in dims)


def run(
    model: Path | bytes, feeds: Arrays, first: bool = True, optimize: bool = True
) -> dict[str, Array]:
    """Run a file in onnxruntime: outputs by name from feeds by name, all channels last.

    Args:
        model: The file, or what is in it.
        feeds: The inputs.
        first: The file's inputs and outputs are channels first.
        optimize: Whether onnxruntime may rewrite the graph.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    source = model if isinstance(model, bytes) else str(model)
    session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    given = {
        name: np.moveaxis(feed, -1, 1) if first and feed.ndim > 2 else feed
        for name, feed in feeds.items()
    }
    names = [output.name for output in session.get_outputs()]
    results = dict(zip(names, session.run(None, given), strict=True))
    return {
        name: np.moveaxis(result, 1, -1) if first and result.ndim > 2 else result
        for name, result in results.items()
    }


def agree(result: Array, expected: Array, label: str = "", least: float = 1e-3) -> None:
    """Two results have one shape, and differ by no more than rounding.

    Args:
        result: The one.
        expected: The other, to whose largest number the difference is relative.
        label: What to call it.
        least: What counts as the largest number where none is larger.
    """
    assert result.shape == expected.shape, f"{label}: {result.shape}, expected {expected.shape}"
    assert np.isfinite(expected).all(), f"{label}: the reference is not finite"
    scale = max(float(np.abs(expected).max()), least)
    difference = float(np.abs(result.astype(np.float64) - expected).max()) / scale
    assert difference <= TOLERANCE, f"{label}: relative difference {difference:.2e}"
