"""Layers in the forms of runtimes that take no other: the same numbers, at a bounded cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import pytest

import graphcnn
from graphcnn.errors import ErrorGroup
from graphcnn.graph import Graph
from graphcnn.ops import (
    Activation,
    Add,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dense,
    GlobalAveragePooling2D,
    Max,
    Mean,
    Multiply,
    Op,
    Power,
    ReLU,
    Rescaling,
    Resizing,
    ZeroPadding2D,
)
from graphcnn.types import DType, symbol
from tests.onnx_checks import run


def _network(*ops: Op, dtype: DType = DType.float32) -> Graph:
    graph = Graph("network")
    value = graph.input("x", (9, 8, 3), dtype)
    for index, op in enumerate(ops):
        value = graph.add(op, value, name=f"layer{index}")
    graph.outputs["y"] = value
    return graph


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("pads", [((1, 2), (0, 3)), ((7, 0), (5, 9)), ((0, 0), (32, 32))])
def test_zeros_without_a_pad(
    pads: tuple[tuple[int, int], tuple[int, int]], layout: Literal["nchw", "nhwc"], tmp_path: Path
) -> None:
    path = tmp_path / "m.onnx"
    graphcnn.compile(_network(ZeroPadding2D(padding=pads), ReLU()), path, input_layout=layout)
    held = onnx.load(path).graph
    assert "Pad" not in {node.op_type for node in held.node}
    assert max(len(tensor.raw_data) for tensor in held.initializer) <= 3 * 65 * 4
    x = np.random.default_rng(0).random((2, 9, 8, 3), np.float32)
    (found,) = run(path, {"x": x}, layout == "nchw").values()
    np.testing.assert_array_equal(found, np.pad(x, ((0, 0), *pads, (0, 0))))


def test_integers_are_not_padded_by_a_convolution(tmp_path: Path) -> None:
    graph = _network(ZeroPadding2D(padding=1), dtype=DType.int32)
    with pytest.raises(ErrorGroup, match=r"layer0 \(ZeroPadding2D\): Pad: ncnn does not load it"):
        graphcnn.compile(graph, tmp_path / "m.onnx")


@pytest.mark.parametrize("target", ["opencv", "ncnn", "portable"])
def test_a_maximum_of_everything(target: str, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    graphcnn.compile(_network(Max(axis=(1, 2, 3))), path, target=target)
    x = np.random.default_rng(0).random((2, 9, 8, 3), np.float32)
    (found,) = run(path, {"x": x}).values()
    np.testing.assert_array_equal(found.reshape(2), x.max(axis=(1, 2, 3)))


def test_the_batch_is_told_by_an_operator_of_images(tmp_path: Path) -> None:
    kinds = {}
    for target in ("ncnn", "portable", "onnxruntime"):
        path = tmp_path / f"{target}.onnx"
        graphcnn.compile(_network(Mean(axis=(1, 2)), Dense(units=4)), path, target=target)
        kinds[target] = [node.op_type for node in onnx.load(path).graph.node]
    assert kinds["ncnn"] == kinds["portable"] == ["MaxPool", *kinds["onnxruntime"]]
    two = _network(Conv2D(filters=2, kernel_size=1))
    other = two.add(Mean(axis=(1, 2)), two.input("other", (5, 5, 3)))
    two.outputs["z"] = other
    graphcnn.compile(two, tmp_path / "two.onnx", target="ncnn")
    nodes = onnx.load(tmp_path / "two.onnx").graph.node
    assert [list(n.input) for n in nodes if n.op_type == "MaxPool"] == [["other"]]
    volumes = Graph("volumes")
    volumes.outputs["y"] = volumes.add(Mean(axis=(1, 2, 3)), volumes.input("x", (4, 4, 4, 2)))
    with pytest.raises(ErrorGroup, match="images, and no operator of images: ncnn gives wrong"):
        graphcnn.compile(volumes, tmp_path / "volumes.onnx", target="ncnn")


@pytest.mark.parametrize(("kernel", "rows"), [(2, 1), (1, 1), (1, 2)])
@pytest.mark.parametrize(("width", "padding"), [(2, "valid"), (3, "valid"), (4, "same")])
def test_strides_to_one_column(
    width: int, padding: Literal["valid", "same"], kernel: int, rows: int, tmp_path: Path
) -> None:
    graph = Graph("narrow")
    op = Conv2D(filters=3, kernel_size=(kernel, 2), strides=(rows, 4), padding=padding)
    graph.outputs["y"] = graph.add(op, graph.input("x", (9, width, 1)), name="conv")
    found = {}
    for target in ("openvino", "portable", "onnxruntime"):
        path = tmp_path / f"{target}.onnx"
        graphcnn.compile(graph, path, target=target)
        convs = [node for node in onnx.load(path).graph.node if node.op_type == "Conv"]
        strides = next(a.ints for a in convs[0].attribute if a.name == "strides")
        assert strides[-1] == (4 if target == "onnxruntime" or strides[0] > 1 else 1)
        x = np.random.default_rng(0).random((2, 9, width, 1), np.float32)
        (found[target],) = run(path, {"x": x}).values()
    for target in ("openvino", "portable"):
        np.testing.assert_allclose(found[target], found["onnxruntime"], rtol=1e-6)


def test_strides_of_a_width_that_is_not_known(tmp_path: Path) -> None:
    graph = Graph("open")
    op = Conv2D(filters=3, kernel_size=2, strides=(1, 2))
    graph.outputs["y"] = graph.add(op, graph.input("x", (9, symbol("W"), 1)), name="conv")
    with pytest.raises(ErrorGroup, match="strides of the width to one column: openvino gives"):
        graphcnn.compile(graph, tmp_path / "m.onnx", target="openvino")


def _alike(graph: Graph, folder: Path) -> dict[str, list[onnx.NodeProto]]:
    """The nodes for a target each; both give the same numbers."""
    nodes, found = {}, {}
    x = np.random.default_rng(0).normal(size=(2, 9, 8, 3)).astype(np.float32)
    for target in ("portable", "onnxruntime"):
        path = folder / f"{target}.onnx"
        graphcnn.compile(graph, path, target=target)
        nodes[target] = list(onnx.load(path).graph.node)
        (found[target],) = run(path, {"x": x}).values()
    np.testing.assert_allclose(found["portable"], found["onnxruntime"], rtol=1e-5, atol=1e-6)
    return nodes


@pytest.mark.parametrize("function", ["hard_sigmoid", "gelu"])
def test_a_gate_is_not_taken_for_another_function(function: str, tmp_path: Path) -> None:
    graph = Graph("gate")
    image = graph.add(Activation(activation="gelu"), graph.input("x", (9, 8, 3)), name="image")
    mean = graph.add(GlobalAveragePooling2D(keepdims=True), image, name="mean")
    gate = graph.add(Activation(activation=function), mean, name="gate")
    graph.outputs["y"] = graph.add(Multiply(), [image, gate], name="scaled")
    assert len({*map(len, _alike(graph, tmp_path).values())}) == 1


@pytest.mark.parametrize("function", ["elu", "silu", "relu", None])
def test_normalization_of_a_function(function: str | None, tmp_path: Path) -> None:
    graph = Graph("norm")
    conv = graph.add(
        Conv2D(filters=3, kernel_size=1, activation=function), graph.input("x", (9, 8, 3)), name="c"
    )
    norm = graph.add(BatchNormalization(epsilon=0.1), conv, name="norm")
    graph.outputs["y"] = graph.add(Add(), [conv, norm], name="sum")
    nodes = _alike(graph, tmp_path)
    apart = [node for node in nodes["portable"] if node.op_type == "Identity"]
    assert len(apart) == (function in ("elu", "silu"))
    assert len(nodes["portable"]) == len(nodes["onnxruntime"]) + len(apart)


def test_two_resizings_share_no_matrix_from_the_left(tmp_path: Path) -> None:
    graph = Graph("twice")
    x = graph.input("x", (9, 8, 3))
    op = Resizing(height=13, width=5, interpolation="nearest")
    both = [graph.add(op, value, name=value + "r") for value in (x, graph.add(ReLU(), x, name="a"))]
    graph.outputs["y"] = graph.add(Add(), both, name="sum")
    nodes = _alike(graph, tmp_path)["portable"]
    lefts = [node.input[0] for node in nodes if node.op_type == "MatMul"][::2]
    assert len(lefts) == len(set(lefts)) == 2


@pytest.mark.parametrize("sizes", [(1, 4), (4, 1), (1, 1)])
def test_a_linear_resize_of_a_line(sizes: tuple[int, int], tmp_path: Path) -> None:
    axes = tuple(axis for axis, size in enumerate(sizes, start=1) if size == 1)
    graph = Graph("line")
    line = graph.add(Mean(axis=axes, keepdims=True), graph.input("x", (9, 8, 3)), name="line")
    graph.outputs["y"] = graph.add(Resizing(height=7, width=13), line, name="wide")
    wide = _alike(graph, tmp_path)["portable"][-1]
    mode = next(item.s for item in wide.attribute if item.name == "mode")
    assert mode == (b"nearest" if sizes == (1, 1) else b"linear")


@pytest.mark.parametrize("function", ["tanh", {"gelu": {"approximate": True}}])
def test_a_tangent_of_large_numbers(function: Any, tmp_path: Path) -> None:
    graph = Graph("tangent")
    large = graph.add(Rescaling(scale=99.0), graph.input("x", (9, 8, 3)), name="large")
    graph.outputs["y"] = graph.add(Activation(activation=function), large, name="tangent")
    nodes = {
        target: [n.op_type for n in found] for target, found in _alike(graph, tmp_path).items()
    }
    place = nodes["portable"].index("Tanh")
    assert nodes["portable"][place - 1] == "Clip"
    assert "Clip" not in nodes["onnxruntime"]


def test_an_input_that_is_given_back_is_computed(tmp_path: Path) -> None:
    graph = _network(ReLU())
    graph.outputs["image"] = "x"
    kinds = {}
    for target in ("portable", "opencv"):
        path = tmp_path / f"{target}.onnx"
        graphcnn.compile(graph, path, target=target)
        kinds[target] = onnx.load(path).graph.node[-1].op_type
    assert kinds == {"portable": "Max", "opencv": "Identity"}


def test_a_product_as_wide_as_a_padded_kernel(tmp_path: Path) -> None:
    graph, found = Graph("narrow"), {}
    pool = AveragePooling2D(pool_size=3, strides=2, padding="same")
    mean = graph.add(pool, graph.input("x", (6, 6, 1)))
    op = Conv2D(filters=2, kernel_size=3, padding="same")
    graph.outputs["y"] = graph.add(op, mean, name="conv")
    x = np.random.default_rng(0).random((2, 6, 6, 1), np.float32)
    for target in ("openvino", "portable", "onnxruntime"):
        path = tmp_path / f"{target}.onnx"
        graphcnn.compile(graph, path, target=target)
        *_, maker, _ = onnx.load(path).graph.node
        assert maker.op_type == ("Mul" if target == "onnxruntime" else "MaxPool")
        (found[target],) = run(path, {"x": x}).values()
    np.testing.assert_array_equal(found["openvino"], found["onnxruntime"])
    np.testing.assert_allclose(found["portable"], found["onnxruntime"], atol=1e-6)


@pytest.mark.parametrize(
    ("exponent", "operators"),
    [
        (0.5, {"Sqrt"}),
        (1.7, {"Max", "Pow"}),
        (1 / 3, {"Max", "Pow"}),
        (-0.5, {"Sqrt", "Reciprocal"}),
        (-2.0, {"Pow", "Reciprocal"}),
    ],
)
def test_powers_of_zero(exponent: float, operators: set[str], tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    point = Conv2D(filters=3, kernel_size=1)
    graphcnn.compile(_network(point, ReLU(), Power(exponent=exponent)), path)
    nodes = onnx.load(path).graph.node
    assert {node.op_type for node in nodes} == {"Conv", "Relu", *operators}
    x = np.random.default_rng(0).normal(size=(2, 9, 8, 3)).astype(np.float32)
    (found,) = run(path, {"x": x}, True).values()
    graphcnn.compile(_network(point, ReLU()), path, force=True)
    (base,) = run(path, {"x": x}, True).values()
    assert (base == 0).any()
    assert (base > 0).any()
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(found, base.astype(float) ** exponent, rtol=1e-5, atol=1e-7)


def test_roots_that_are_not_exact_at_zero_are_refused(tmp_path: Path) -> None:
    graph = _network(Conv2D(filters=3, kernel_size=1), ReLU(), Power(exponent=0.1))
    with pytest.raises(ErrorGroup, match="ncnn gives wrong values there"):
        graphcnn.compile(graph, tmp_path / "m.onnx", target="portable")
    graphcnn.compile(graph, tmp_path / "m.onnx", target="onnxruntime")


def test_a_batch_of_several_samples(tmp_path: Path) -> None:
    graph = _network(Conv2D(filters=3, kernel_size=1))
    assert graphcnn.compile(graph, tmp_path / "m.onnx", batch=2).targets == ("onnxruntime",)
    assert graphcnn.compile(graph, tmp_path / "n.onnx", batch=1).targets == ("portable",)
    with pytest.raises(ErrorGroup, match="one sample at a time"):
        graphcnn.compile(graph, tmp_path / "o.onnx", batch=2, target="ncnn")
