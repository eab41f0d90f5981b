"""What is computed in integers: by onnxruntime, in the file that it makes of the file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import graphcnn
from graphcnn.graph import Graph
from graphcnn.onnx_file import find_nodes, read_onnx_file
from graphcnn.quantization import Arithmetic
from graphcnn.quantization.placement import COMPUTING, PASSING, quantizable
from tests.random_values import random_arrays

from .networks import (
    SEVEN_BITS,
    decibels,
    in_bytes,
    in_integers,
    network,
    operators,
    run,
    samples,
    weights,
)

Tensor = tuple[str, Any]
NEAR = 20.0
"""Decibels that a few layers of 8 bits keep."""


def node(op: str, inputs: str, output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op, inputs.split(), [output], output, **attributes)


def kernel(*sizes: int) -> np.ndarray:
    """Weights that keep values near one."""
    drawn = np.random.default_rng(sum(sizes)).standard_normal(sizes)
    return (drawn / np.sqrt(np.prod(sizes[1:]))).astype(np.float32)


def sandwich(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    constants: Sequence[Tensor],
    channels: int,
    dense: bool = False,
) -> Path:
    """A file of nodes from ``a`` to ``m`` between two convolutions, or one and a matrix product."""
    last = node("MatMul", "m w1", "y") if dense else node("Conv", "m w1", "y")
    arrays = {
        "w0": kernel(8, 3, 3, 3),
        "b0": kernel(8, 1)[:, 0],
        "w1": kernel(channels, 4) if dense else kernel(4, channels, 1, 1),
        **{name: np.asarray(value) for name, value in constants},
    }
    sizes = ["N", 4] if dense else ["N", 4, None, None]
    graph = helper.make_graph(
        [node("Conv", "x w0 b0", "a", pads=[1, 1, 1, 1]), *nodes, last],
        "sandwich",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, sizes)],
        [numpy_helper.from_array(value, name) for name, value in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return path


SECOND = node("Conv", "a w2", "a2")
POINT: Tensor = ("w2", kernel(8, 8, 1, 1))
AXES: Tensor = ("axes", np.array([2, 3]))

Case = tuple[list[onnx.NodeProto], list[Tensor], int, bool, str]
CASES: dict[str, Case] = {
    "Add": ([SECOND, node("Add", "a a2", "m")], [POINT], 8, False, "QLinearAdd"),
    "Mul": ([SECOND, node("Mul", "a a2", "m")], [POINT], 8, False, "QLinearMul"),
    "Concat": (
        [SECOND, node("Concat", "a a2", "m", axis=1)], [POINT], 16, False, "QLinearConcat"
    ),
    "Conv": ([node("Conv", "a w2", "m")], [POINT], 8, False, "QLinearConv"),
    "AveragePool": (
        [node("AveragePool", "a", "m", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])],
        [], 8, False, "QLinearAveragePool",
    ),
    "GlobalAveragePool": (
        [node("GlobalAveragePool", "a", "m")], [], 8, False, "QLinearGlobalAveragePool"
    ),
    "LeakyRelu": ([node("LeakyRelu", "a", "m", alpha=0.1)], [], 8, False, "QLinearLeakyRelu"),
    "Sigmoid": ([node("Sigmoid", "a", "m")], [], 8, False, "QLinearSigmoid"),
    "Gemm": (
        [node("Flatten", "a", "f"), node("Gemm", "f k b", "m")],
        [("k", kernel(512, 16)), ("b", kernel(16, 1)[:, 0])], 16, True, "QGemm",
    ),
    "MatMul": ([node("MatMul", "a k", "m")], [("k", kernel(8, 8))], 8, False, "QLinearMatMul"),
    "Clip": (
        [node("Clip", "a low high", "m")],
        [("low", np.float32(-0.5)), ("high", np.float32(1))], 8, False, "QLinearConv",
    ),
    "Relu": ([node("Relu", "a", "m")], [], 8, False, "QLinearConv"),
    "Flatten": ([node("Flatten", "a", "m")], [], 512, True, "Flatten"),
    "Gather": ([node("Gather", "a i", "m", axis=2)], [("i", np.array([0, 5]))], 8, False, "Gather"),
    "MaxPool": (
        [node("MaxPool", "a", "m", kernel_shape=[2, 2], strides=[2, 2])], [], 8, False,
        "NhwcMaxPool",
    ),
    "Reshape": (
        [node("Reshape", "a s", "m")], [("s", np.array([0, 8, 4, 16]))], 8, False, "Reshape"
    ),
    "Resize": (
        [node("Resize", "a  s", "m", mode="nearest", coordinate_transformation_mode="asymmetric",
              nearest_mode="floor")],
        [("s", np.array([1, 1, 2, 2], np.float32))], 8, False, "Resize",
    ),
    "Slice": (
        [node("Slice", "a start end axes steps", "m")],
        [("start", np.array([0, 1])), ("end", np.array([8, 8])), AXES, ("steps", np.array([2, 2]))],
        8, False, "Slice",
    ),
    "Squeeze": (
        [node("GlobalAveragePool", "a", "g"), node("Squeeze", "g axes", "m")], [AXES], 8, True,
        "Squeeze",
    ),
    "Transpose": ([node("Transpose", "a", "m", perm=[0, 1, 3, 2])], [], 8, False, "Transpose"),
    "Unsqueeze": (
        [node("Unsqueeze", "a axis", "u"), node("Squeeze", "u axis", "m")],
        [("axis", np.array([2]))], 8, False, "Unsqueeze",
    ),
}  # fmt: skip
for _node in CASES["Resize"][0]:
    _node.input[:] = ["a", "", "s"]


def test_every_operator_has_a_case() -> None:
    assert set(CASES) == COMPUTING | PASSING
    assert not COMPUTING & PASSING


@pytest.mark.parametrize("op", CASES)
def test_an_operator_is_computed_on_bytes(op: str, tmp_path: Path) -> None:
    nodes, constants, channels, dense, fused = CASES[op]
    path = sandwich(tmp_path / "float.onnx", nodes, constants, channels, dense)
    x = samples(64)
    found, graph = run(in_integers(path, x), np.moveaxis(x, -1, 1), tmp_path)
    assert fused in operators(graph)
    if dense:  # onnxruntime computes a last product from bytes to float numbers.
        assert "DequantizeLinear" not in operators(graph)[:-2]
    else:
        assert in_bytes(graph)
    assert decibels(expected(path, x), found) > NEAR


UNSUPPORTED: dict[str, tuple[list[onnx.NodeProto], list[Tensor]]] = {
    "Pad": ([node("Pad", "a p", "m")], [("p", np.array([0, 0, 1, 1, 0, 0, 1, 1]))]),
    "Sub": ([SECOND, node("Sub", "a a2", "m")], [POINT]),
    "Max": ([SECOND, node("Max", "a a2", "m")], [POINT]),
    "Tanh": ([node("Tanh", "a", "m")], []),
    "Elu": ([node("Elu", "a", "m")], []),
    "HardSigmoid": ([node("HardSigmoid", "a", "m")], []),
    "PRelu": ([node("PRelu", "a k", "m")], [("k", np.float32(0.1))]),
    "ReduceMean": ([node("ReduceMean", "a", "m", axes=[2, 3])], []),
    "ReduceMax": ([node("ReduceMax", "a", "m", axes=[2, 3])], []),
    "ConvTranspose": ([node("ConvTranspose", "a w2", "m")], [POINT]),
}


@pytest.mark.parametrize("op", UNSUPPORTED)
def test_what_has_no_kernel_is_computed_in_float(op: str, tmp_path: Path) -> None:
    nodes, constants = UNSUPPORTED[op]
    path = sandwich(tmp_path / "float.onnx", nodes, constants, 8)
    x = samples(64)
    found, graph = run(in_integers(path, x), np.moveaxis(x, -1, 1), tmp_path)
    assert op in operators(graph)
    assert not in_bytes(graph)
    assert op not in COMPUTING | PASSING
    assert decibels(expected(path, x), found) > NEAR


# Whole networks of graphcnn's own layers.

RESIDUAL = """
  - Conv2D: {filters: 8, kernel_size: 3, padding: same, name: c1, activation: relu}
  - Conv2D: {filters: 8, kernel_size: 3, padding: same, name: c2}
  - Add: {inputs: [c2, c1], name: sum}
  - ReLU: {name: out}
  - Conv2D: {filters: 4, kernel_size: 3, name: c3}
"""
INCEPTION = """
  - Conv2D: {filters: 8, kernel_size: 1, name: stem, activation: relu}
  - Conv2D: {filters: 4, kernel_size: 1, name: a, activation: relu, inputs: stem}
  - Conv2D: {filters: 4, kernel_size: 3, padding: same, name: b, activation: relu, inputs: stem}
  - MaxPooling2D: {pool_size: 3, strides: 1, padding: same, name: c, inputs: stem}
  - Concatenate: {inputs: [a, b, c], name: joined}
  - Conv2D: {filters: 4, kernel_size: 3, name: c3}
"""
MOBILE = """
  - DepthwiseConv2D: {kernel_size: 3, padding: same, name: d1}
  - ReLU: {max_value: 6}
  - Conv2D: {filters: 8, kernel_size: 1, name: p1}
  - BatchNormalization: {name: bn1}
  - ReLU: {max_value: 6}
  - DepthwiseConv2D: {kernel_size: 3, strides: 2, padding: same, name: d2}
  - ReLU: {max_value: 6}
  - Conv2D: {filters: 4, kernel_size: 1, name: p2}
"""
SQUEEZE = """
  - Conv2D: {filters: 8, kernel_size: 3, name: stem, activation: relu}
  - GlobalAveragePooling2D: {keepdims: true, name: gap}
  - Conv2D: {filters: 4, kernel_size: 1, activation: relu, name: down}
  - Conv2D: {filters: 8, kernel_size: 1, activation: sigmoid, name: up}
  - Multiply: {inputs: [stem, up], name: scaled}
  - Conv2D: {filters: 4, kernel_size: 3, name: c3}
"""
POOLS = """
  - Conv2D: {filters: 8, kernel_size: 3, padding: same, name: c1}
  - AveragePooling2D: {pool_size: 3, strides: 2, padding: same}
  - UpSampling2D: {size: 2}
  - Cropping2D: {cropping: 1}
  - Conv2D: {filters: 4, kernel_size: 3, name: c3}
"""
SHAPES = """
  - Conv2D: {filters: 8, kernel_size: 3, padding: same, name: c1}
  - Reshape: {target_shape: [16, 4, 8]}
  - Conv2D: {filters: 4, kernel_size: 3, name: c3}
"""
KINDS = """
  - Conv2D: {filters: 6, kernel_size: 3, groups: 3, padding: same, name: grouped}
  - Conv2D: {filters: 4, kernel_size: 3, dilation_rate: 2, name: dilated}
  - Conv2D: {filters: 4, kernel_size: 3, strides: 2, padding: same, name: strided}
"""
NETWORKS = {
    "residual": RESIDUAL, "inception": INCEPTION, "mobile": MOBILE, "squeeze": SQUEEZE,
    "pools": POOLS, "shapes": SHAPES, "kinds": KINDS,
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_stays_in_integers(name: str, tmp_path: Path) -> None:
    path = written(tmp_path, NETWORKS[name])
    x = samples(64)
    found, graph = run(in_integers(path, x), np.moveaxis(x, -1, 1), tmp_path)
    assert in_bytes(graph), operators(graph)
    assert decibels(expected(path, x), found) > (15 if name == "squeeze" else NEAR)


@pytest.mark.parametrize(("title", "sizes"), [("Conv1D", "[16, 3]"), ("Conv3D", "[4, 4, 4, 3]")])
def test_other_ranks(title: str, sizes: str, tmp_path: Path) -> None:
    layers = f"  - {title}: {{filters: 8, kernel_size: 2, activation: relu}}\n"
    path = written(tmp_path, layers * 2, sizes)
    x = samples(64, *map(int, sizes.strip("[]").split(",")))
    found, graph = run(in_integers(path, x), np.moveaxis(x, -1, 1), tmp_path)
    assert in_bytes(graph), operators(graph)
    assert operators(graph).count("QLinearConv") == 2
    assert decibels(expected(path, x), found) > NEAR


def written(folder: Path, layers: str, inputs: str = "[8, 8, 3]", **options: Any) -> Path:
    graph = network(folder / "model.yaml", layers, inputs)
    graphcnn.compile(graph, folder / "float.onnx", weights=weights(graph), force=True, **options)
    return folder / "float.onnx"


def expected(path: Path, x: np.ndarray) -> np.ndarray:
    """What the float32 file gives."""
    return run(onnx.load(path), np.moveaxis(x, -1, 1), path.parent)[0]


HEAD = "  - Conv2D: {filters: 8, kernel_size: 3, activation: relu, name: conv}\n  - Flatten\n"


@pytest.mark.parametrize(
    "layers",
    [
        HEAD + "  - Dense: {units: 5, name: scores}\n",
        HEAD + "  - Dense: {units: 5, activation: softmax, name: scores}\n",
        HEAD + "  - Dense: {units: 1, activation: sigmoid, name: scores}\n",
    ],
)
def test_scores_are_not_rounded_to_bytes(layers: str, tmp_path: Path) -> None:
    path, x = written(tmp_path, layers), samples(512)
    model = in_integers(path, x)
    rounded = [node.input[0] for node in model.graph.node if node.op_type == "QuantizeLinear"]
    assert not any(name.startswith("scores") for name in rounded)
    found, _ = run(model, np.moveaxis(x, -1, 1), tmp_path)
    assert len(np.unique(found)) > 256


@pytest.mark.parametrize("outputs", ["[scores, logits]", "[logits, scores]"])
def test_scores_that_are_outputs_too(outputs: str, tmp_path: Path) -> None:
    layers = HEAD + "  - Dense: {units: 5, name: logits}\n  - Softmax: {name: scores}\n"
    path = written(tmp_path, f"{layers}outputs: {outputs}\n")
    x = samples(64)
    model = in_integers(path, x)
    names = [value.name for value in model.graph.output]
    assert names == outputs.strip("[]").split(", ")
    found, _ = run(model, np.moveaxis(x, -1, 1), tmp_path)
    assert decibels(expected(path, x), found) > NEAR


def test_a_rounded_product_is_one_that_integers_take(tmp_path: Path) -> None:
    layers = "  - Dense: {units: 6, activation: relu, name: d1}\n  - Dense: {units: 5, name: d2}\n"
    path, x = written(tmp_path, "  - Flatten\n" + layers), samples(64)
    found, graph = run(in_integers(path, x), np.moveaxis(x, -1, 1), tmp_path)
    assert operators(graph).count("QGemm") == 2
    assert found.min() < 0  # The first clips at 0, the second does not.


PLAIN = """
  - Conv2D: {filters: 8, kernel_size: 3, padding: same, name: c1}
  - BatchNormalization: {name: bn1}
  - ReLU: {name: r1}
  - Conv2D: {filters: 8, kernel_size: 3, padding: same, name: c2}
  - ReLU: {name: r2}
  - Conv2D: {filters: 4, kernel_size: 3, name: c3}
"""


LINES = [("out", 7, "Add"), ("c3", 8, "Conv"), ("bn", 9, "Conv"), ("r", 10, "Conv")]


def test_a_vanished_layer_leaves_its_line(tmp_path: Path) -> None:
    layers = RESIDUAL.replace(", activation: relu", "")
    path = written(tmp_path, layers + "  - BatchNormalization: {name: bn}\n  - ReLU: {name: r}\n")
    onnx.save(in_integers(path, samples()), tmp_path / "int8.onnx")
    file = read_onnx_file(tmp_path / "int8.onnx")
    assert "Relu" not in [node.op for node in file.nodes]
    for layer, line, op in LINES:
        (found,) = (node for node in find_nodes(file, layer).nodes if node.op == op)
        assert found.origin is not None
        (origin,) = (origin for origin in found.origin.layers if origin.name == layer)
        assert origin.location is not None
        assert (origin.location.file, origin.location.line) == ("model.yaml", line)
    last = find_nodes(file, "r").nodes[0]
    assert last.origin is not None
    assert last.origin.passes == ("fold-affine-into-previous",)
    assert last.layers == ("r", "bn", "c3")


def test_parameters_and_costs_are_the_float_files(tmp_path: Path) -> None:
    path = written(tmp_path, PLAIN + "  - Flatten\n  - Dense: {units: 5, name: d}\n")
    onnx.save(in_integers(path, samples()), tmp_path / "int8.onnx")
    before, after = read_onnx_file(path), read_onnx_file(tmp_path / "int8.onnx")
    assert after.params == before.params
    assert after.macs == before.macs
    costs = [
        {n.name: (n.params, n.macs) for n in file.nodes if n.params or n.macs}
        for file in (before, after)
    ]
    assert costs[0] == costs[1]
    assert {n.name for n in before.nodes if n.op != "Relu"} <= {n.name for n in after.nodes}


@pytest.mark.parametrize("kept", ["bn1", "c2", "c3"])
def test_a_layer_that_is_kept_stays_in_float(kept: str, tmp_path: Path) -> None:
    """Onnxruntime puts the weights of any layer between bytes into bytes, a tensor at a time."""
    path, x = written(tmp_path, PLAIN), samples(64)
    assert kept in [layer.node for layer in quantizable(read_onnx_file(path))]
    model = in_integers(path, x, [kept])
    (found,) = (node for node in model.graph.node if node.name == kept)
    floats = {item.name: item for item in onnx.load(path).graph.initializer}
    assert any(
        item.name == found.input[1] and item.raw_data == floats[item.name].raw_data
        for item in model.graph.initializer
    )
    _, graph = run(model, np.moveaxis(x, -1, 1), tmp_path)
    assert operators(graph).count("QLinearConv") == 2
    assert operators(graph).count("Conv") == 1


def test_a_kept_layer_of_small_channels(tmp_path: Path) -> None:
    """Weights of very different channels are lost in a scale that all share."""
    layers = PLAIN.replace("  - ReLU: {name: r2}\n", "")
    graph = network(tmp_path / "model.yaml", layers)
    arrays = random_arrays(graph)
    small = np.where(np.arange(8) < 4, 1e-4, 1).astype(np.float32)
    arrays["c2/kernel"] = arrays["c2/kernel"] * small
    path = tmp_path / "float.onnx"
    graphcnn.compile(graph, path, weights=graphcnn.WeightStore.from_arrays(arrays))
    x = samples(64)
    model = in_integers(path, x, ["c2"])
    found, optimized = run(model, np.moveaxis(x, -1, 1), tmp_path)
    (node,) = (node for node in optimized.node if node.op_type == "Conv")
    assert decibels(expected(path, x), found) > NEAR
    assert "c2" in node.name


def test_a_dense_layer_and_a_transposed_convolution_stay_in_float(tmp_path: Path) -> None:
    layers = """
  - Conv2D: {filters: 4, kernel_size: 3, name: c1}
  - Conv2DTranspose: {filters: 4, kernel_size: 2, strides: 2, name: up}
  - Flatten
  - Dense: {units: 8, activation: relu, name: d1}
  - Dense: {units: 5, name: d2}
"""
    path, x = written(tmp_path, layers), samples(64)
    (kept,) = (n.name for n in quantizable(read_onnx_file(path)) if n.name == "d1")
    node = next(n.node for n in quantizable(read_onnx_file(path)) if n.name == kept)
    _, graph = run(in_integers(path, x, [node]), np.moveaxis(x, -1, 1), tmp_path)
    found = operators(graph)
    assert "ConvTranspose" in found
    assert [found.count(op) for op in ("QGemm", "QLinearConv")] == [1, 1]
    assert "Gemm" in found or "FusedGemm" in found
    stored = {item.name: item.data_type for item in graph.initializer}
    (up,) = (n for n in graph.node if n.op_type == "ConvTranspose")
    assert stored[up.input[1]] == TensorProto.FLOAT


def test_shared_weights(tmp_path: Path) -> None:
    layers = """
  - Conv2D: {filters: 3, kernel_size: 3, padding: same, name: a}
  - Conv2D: {filters: 3, kernel_size: 3, padding: same, name: b, shares: a}
  - Conv2D: {filters: 3, kernel_size: 3, padding: same, name: c}
"""
    path, x = written(tmp_path, layers), samples(64)
    both, graph = run(in_integers(path, x), np.moveaxis(x, -1, 1), tmp_path)
    assert operators(graph).count("QLinearConv") == 3
    assert decibels(expected(path, x), both) > NEAR
    model = in_integers(path, x, ["b"])
    (kept,) = (node for node in model.graph.node if node.name == "b")
    (own,) = (item for item in model.graph.initializer if item.name == kept.input[1])
    (original,) = (t for t in onnx.load(path).graph.initializer if t.name == "a/kernel")
    assert np.array_equal(numpy_helper.to_array(own), numpy_helper.to_array(original))
    _, graph = run(model, np.moveaxis(x, -1, 1), tmp_path)
    assert operators(graph).count("QLinearConv") == 2


def test_ranges_are_not_used_up(tmp_path: Path) -> None:
    """The file that is written is the one that was measured."""
    layers = (
        "  - Conv2D: {filters: 4, kernel_size: 3, name: c}\n  - ReLU\n  - ReLU: {max_value: 0.5}\n"
    )
    path, x = written(tmp_path, layers, disable="all"), samples()
    from graphcnn.quantization.calibration import calibrate
    from graphcnn.quantization.insertion import insert
    from graphcnn.quantization.samples import Rows
    from graphcnn.runtime.predict import Predictor

    assert operators(onnx.load(path)) == ["Conv", "Relu", "Clip"]
    file = read_onnx_file(path)
    ranges = calibrate(file, Predictor(path), Rows(x, np.arange(len(x))), "minmax")
    first, second = (insert(path, ranges, SEVEN_BITS, {"c"}) for _ in range(2))
    assert first.SerializeToString() == second.SerializeToString()


def test_the_integers_are_what_was_asked_for(tmp_path: Path) -> None:
    path, x = written(tmp_path, PLAIN), samples()

    def stored(arithmetic: Arithmetic) -> tuple[set[str], int]:
        model = in_integers(path, x, arithmetic=arithmetic)
        arrays = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
        points = {
            str(arrays[node.input[2]].dtype)
            for node in model.graph.node
            if node.op_type == "QuantizeLinear"
        }
        scales = [a for name, a in arrays.items() if name == "c2/kernel_scale"]
        assert [scale.shape for scale in scales] == [(8,)]
        kernel = arrays["c2/kernel_quantized"]
        assert kernel.dtype == np.int8
        return points, int(np.abs(kernel.astype(int)).max())

    assert stored(Arithmetic(False, False, "")) == ({"uint8"}, 127)
    assert stored(Arithmetic(False, True, "")) == ({"uint8"}, 64)
    assert stored(Arithmetic(True, False, "")) == ({"int8"}, 127)


def test_a_normalization_that_cannot_be_folded(tmp_path: Path) -> None:
    layers = """
  - BatchNormalization: {name: bn}
  - ReLU
  - Conv2D: {filters: 4, kernel_size: 3, padding: same, name: c}
  - Conv2D: {filters: 4, kernel_size: 3, name: d}
"""
    path, x = written(tmp_path, layers), samples(64)
    found, graph = run(in_integers(path, x), np.moveaxis(x, -1, 1), tmp_path)
    assert "BatchNormalization" in operators(graph)
    assert operators(graph).count("QLinearConv") == 2
    assert decibels(expected(path, x), found) > NEAR


def test_what_can_be_in_integers(tmp_path: Path) -> None:
    path = written(
        tmp_path, SQUEEZE + "  - Flatten\n  - Dense: {units: 2, activation: sigmoid, name: s}\n"
    )
    layers = quantizable(read_onnx_file(path))
    assert [layer.op for layer in layers] == [
        "Conv", "GlobalAveragePool", "Conv", "Conv", "Sigmoid", "Mul", "Conv", "Gemm"
    ]  # fmt: skip
    assert [layer.name for layer in layers] == [
        "stem", "gap", "down", "up", "up", "scaled", "c3", "s"
    ]  # fmt: skip
    assert layers[0].place == "model.yaml:4:5"
    graph = Graph("none")
    x = graph.input("image", (8, 8, 3))
    graph.outputs["y"] = graph.add(graphcnn.ops.Softmax(), x, name="y")
    graphcnn.compile(graph, tmp_path / "none.onnx")
    assert quantizable(read_onnx_file(tmp_path / "none.onnx")) == ()


def test_an_output_before_an_activation_keeps_its_range(tmp_path: Path) -> None:
    """The library gives what a ReLU takes the range of what it makes."""
    layers = PLAIN.replace("  - BatchNormalization: {name: bn1}\n", "")
    path, x = written(tmp_path, layers + "outputs: [c1, c3]\n"), samples(64)
    found, graph = run(in_integers(path, x), np.moveaxis(x, -1, 1), tmp_path)
    assert found.min() < -1
    assert decibels(expected(path, x), found) > NEAR
    assert operators(graph).count("QLinearConv") == 3
