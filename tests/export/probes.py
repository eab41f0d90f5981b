"""Models of one operator each, in every form that graphcnn writes and some that it does not.

What a profile says of them is held against what its runtime does with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

Array = np.ndarray[Any, np.dtype[Any]]

IMAGE = (4, 9, 8)
"""Channels, height and width; a name beginning so says what else is probed."""

_UNARY = [
    "Abs",
    "Elu",
    "Erf",
    "Exp",
    "HardSigmoid",
    "HardSwish",
    "LeakyRelu",
    "Neg",
    "Relu",
    "Selu",
    "Sigmoid",
    "Softplus",
    "Softsign",
    "Tanh",
    "Identity",
    "Celu",
    "Floor",
    "Sin",
]
_POSITIVE = ["Log", "Reciprocal", "Sqrt"]


def _rng() -> np.random.Generator:
    return np.random.default_rng(7)


def model(
    op: str,
    *constants: Array | None,
    shape: tuple[int, ...] = IMAGE,
    swapped: bool = False,
    twice: bool = False,
    opset: int = 17,
    batch: int | None = None,
    **attributes: Any,
) -> onnx.ModelProto:
    """A model of one node over an input `x` of float32 and any batch.

    Args:
        op: The operator.
        constants: Its other inputs; None for one that is left out.
        shape: The sizes of the input without the batch.
        swapped: Whether the input comes after the constants.
        twice: Whether the input is taken twice, in place of constants.
        opset: The opset of the file.
        batch: The batch, if it is fixed.
        attributes: The operator's.
    """
    names, initializers = ["x"], []
    for index, array in enumerate(constants):
        names.append("" if array is None else f"c{index}")
        if array is not None:
            initializers.append(numpy_helper.from_array(array, names[-1]))
    names = [*names[1:], "x"] if swapped else ["x", "x"] if twice else names
    node = helper.make_node(op, names, ["y"], name=op, **attributes)
    graph = helper.make_graph(
        [node],
        "probe",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch or "N", *shape])],
        [helper.make_empty_tensor_value_info("y")],
        initializers,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    inferred = onnx.shape_inference.infer_shapes(made, strict_mode=True, data_prop=True)
    graph.output[0].CopyFrom(inferred.graph.output[0])
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version(opset)
    )


def ir_version(opset: int) -> int:
    """The IR version that an opset needs."""
    return max(8, {19: 9, 20: 9, 21: 10, 22: 10, 23: 11}.get(opset, 8))


def _f(*shape: int) -> Array:
    return _rng().normal(size=shape).astype(np.float32)


def _i(*values: int) -> Array:
    return np.array(values, np.int64)


def _scalar(value: float) -> Array:
    return np.array(value, np.float32)


def probes() -> Iterator[tuple[str, onnx.ModelProto]]:
    """Each probe with its name; of a name beginning with ``positive`` the input is positive."""
    for opset in (13, 15, 18, 19, 20, 21, 22, 23):
        kernel = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
        yield f"opset {opset}", model("Conv", _f(6, 4, 3, 3), _f(6), opset=opset, **kernel)
    yield from _files()
    yield from _convolutions()
    yield from _pools()
    yield from _elementwise()
    yield from _moves()
    yield from _reductions()
    yield from _normalizations()


def _files() -> Iterator[tuple[str, onnx.ModelProto]]:
    """What a whole file has."""
    mixed = [
        helper.make_node("Flatten", ["x"], ["f"], axis=1, name="f"),
        helper.make_node("Concat", ["v", "f"], ["y"], axis=1, name="Concat"),
    ]
    softmax = helper.make_node("Softmax", ["x"], ["y"], axis=1, name="Softmax")
    yield "images, and no operator of images", graph_of([softmax], IMAGE, IMAGE)
    yield "inputs of several ranks", graph_of(mixed, IMAGE, (291,), vector=3)
    passed = graph_of(
        [helper.make_node("Neg", ["v"], ["y"], name="Neg")], (3, 32, 32), (3,), vector=3
    )
    passed.graph.output.append(passed.graph.input[0])
    yield "outputs that are inputs", passed
    same = [
        helper.make_node("GlobalAveragePool", ["x"], ["y"], name="y"),
        helper.make_node("Identity", ["y"], ["z"], name="z"),
    ]
    twice = graph_of(same, IMAGE, (4, 1, 1))
    twice.graph.output.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, ["N", 4, 1, 1]))
    yield "outputs that are one value", twice
    yield "open height and width", _of_any_size()
    points, ends = {"kernel_shape": [1, 1], "pads": [0] * 4}, {"first": _f(4, 4, 1, 1)}
    first = helper.make_node("Conv", ["x", "first"], ["a"], strides=[1, 1], **points)
    conv = helper.make_node("Conv", ["a", "second"], ["y"], strides=[2, 2], **points)
    weights = {**ends, "second": _f(6, 4, 1, 1)}
    yield "Conv, stride of a kernel of 1", graph_of([first, conv], IMAGE, (6, 5, 4), weights)
    bounds = {"starts": _i(0), "stops": _i(2**31 - 1), "axes": _i(2), "steps": _i(2)}
    slice = helper.make_node("Slice", ["a", *bounds], ["y"], name="Slice")
    yield "Slice after a kernel of 1", graph_of([first, slice], IMAGE, (4, 5, 8), ends | bounds)
    bounds |= {"starts": _i(-1), "stops": _i(-(2**31)), "steps": _i(-1)}
    turned = graph_of([first, slice], IMAGE, IMAGE, ends | bounds)
    yield "Slice, step -1, after a kernel of 1", turned
    unsized = model("Relu")
    unsized.graph.output[0].type.tensor_type.ClearField("shape")
    yield "outputs without sizes", unsized
    flat = model("Gemm", _f(5, 12), _f(5), transB=1, shape=(12,), batch=4)
    yield "a batch of several samples", flat
    yield from _after_convolutions()


def _after_convolutions() -> Iterator[tuple[str, onnx.ModelProto]]:
    """What is wrong after a convolution alone."""
    conv = helper.make_node("Conv", ["x", "w"], ["c"], kernel_shape=[3, 3], pads=[1] * 4)
    weights = {"w": _f(4, 4, 3, 3) / 16}
    mean = helper.make_node("GlobalAveragePool", ["s"], ["y"], name="mean")
    for op, before in (("Sub", "Identity"), ("Div", "Sigmoid")):
        function = helper.make_node(before, ["c"], ["f"], name="f")
        less = helper.make_node(op, ["k", "f"], ["s"], name=op)
        made = graph_of(
            [conv, function, less, mean], IMAGE, (4, 1, 1), {**weights, "k": _f(1, 4, 1, 1)}
        )
        yield f"{op}, a constant first, after a convolution", made
    slopes = helper.make_node("PRelu", ["c", "k"], ["y"], name="PRelu")
    each = graph_of([conv, slopes], IMAGE, IMAGE, {**weights, "k": _f(*IMAGE)})
    yield "PRelu by element, after a convolution", each
    sizes = helper.make_node("Reshape", ["c", "k"], ["y"], name="Reshape")
    copied = graph_of([conv, sizes], IMAGE, (4, 18, 4), {**weights, "k": _i(0, 0, -1, 4)})
    yield "Reshape, 0 for the channels", copied


def _of_any_size() -> onnx.ModelProto:
    """Scores of an image whose height and width are not in the file."""
    made = graph_of(
        [
            helper.make_node("Conv", ["x", "w"], ["c"], kernel_shape=[3, 3], name="Conv"),
            helper.make_node("GlobalAveragePool", ["c"], ["p"], name="pool"),
            helper.make_node("Flatten", ["p"], ["f"], axis=1, name="Flatten"),
            helper.make_node("Gemm", ["f", "g"], ["y"], transB=1, name="Gemm"),
        ],
        IMAGE,
        (5,),
        {"w": _f(6, 4, 3, 3), "g": _f(5, 6)},
    )
    for place, name in ((2, "H"), (3, "W")):
        made.graph.input[0].type.tensor_type.shape.dim[place].dim_param = name
    return made


def _convolutions() -> Iterator[tuple[str, onnx.ModelProto]]:
    def conv(op: str = "Conv", kernel: tuple[int, ...] = (3, 3), out: int = 6, **more: Any) -> Any:
        group, shape = more.get("group", 1), more.pop("shape", IMAGE)
        weight = (shape[0], out // group) if op == "ConvTranspose" else (out, shape[0] // group)
        more = {"kernel_shape": kernel, "pads": [0] * 2 * len(kernel), **more}
        more = {"strides": [1] * len(kernel), **more}
        more = {key: value for key, value in more.items() if value is not None}
        return model(op, _f(*weight, *kernel), _f(out), shape=shape, **more)

    one, three = {"kernel": (3,), "shape": (4, 9)}, {"kernel": (3, 3, 2), "shape": (4, 5, 6, 7)}
    yield "Conv", conv()
    yield "Conv, even pads", conv(pads=[1, 1, 1, 1])
    yield "Conv, uneven pads, strides", conv(pads=[0, 1, 1, 2], strides=[2, 2])
    yield "Conv, dilations", conv(dilations=[2, 2], pads=[2, 2, 2, 2])
    yield "Conv, groups", conv(group=2, out=8)
    yield "Conv, depthwise", conv(group=4, out=4)
    yield "Conv, depthwise, multiplier 2", conv(group=4, out=8)
    narrow = {"shape": (1, 2, 5), "out": 1}
    yield "Conv, pads as wide as the kernel", conv(kernel=(1, 2), pads=[0, 5, 0, 5], **narrow)
    thin = {"shape": (1, 9, 3), "out": 3, "kernel": (2, 2), "pads": [0] * 4}
    yield "Conv, strides to one column", conv(**thin, strides=[1, 2])
    yield "Conv, strides of both axes to one column", conv(**thin, strides=[2, 2])
    yield "Conv, depthwise, past the end", conv(group=4, out=4, pads=[1, 1, 2, 2])
    yield "Conv, depthwise, uneven pads", conv(group=4, out=4, pads=[0, 0, 1, 1])
    yield "Conv, SAME_UPPER", conv(pads=None, auto_pad="SAME_UPPER", strides=[2, 2])
    yield "Conv, SAME_LOWER", conv(pads=None, auto_pad="SAME_LOWER", strides=[2, 2])
    yield "Conv, no kernel_shape", model("Conv", _f(6, 4, 3, 3), _f(6))
    yield "Conv, pads before a kernel of 1", conv(kernel=(1, 1), pads=[1, 1, 1, 1])
    point = conv(kernel=(1, 1), pads=[0, 0, 2, 1], group=4, out=4)
    yield "Conv, depthwise, pads before a kernel of 1", point
    yield "Conv 3D, dilations", conv(**{**three, "kernel": (2, 2, 2)}, dilations=[2, 2, 2])
    yield "Conv 1D", conv(**one)
    yield "Conv 1D, uneven pads", conv(**one, pads=[2, 0])
    yield "Conv 1D, dilations", conv(**one, dilations=[2])
    yield "Conv 1D, depthwise", conv(**one, group=4, out=4)
    yield "Conv 3D", conv(**three)
    yield "Conv 3D, uneven pads", conv(**three, pads=[0, 1, 0, 1, 1, 1])
    yield "Conv 3D, groups", conv(**three, group=2)
    turned = {"op": "ConvTranspose", "strides": [2, 2]}
    yield "ConvTranspose", conv(**turned)
    yield "ConvTranspose, pads", conv(**turned, pads=[1, 1, 1, 1])
    yield "ConvTranspose, uneven pads", conv(**turned, pads=[0, 0, 1, 1])
    yield "ConvTranspose, output_padding", conv(**turned, output_padding=[1, 1], pads=[1, 1, 1, 1])
    yield "ConvTranspose, dilations", conv("ConvTranspose", dilations=[2, 2])
    yield "ConvTranspose 1D", conv("ConvTranspose", **one, strides=[2])
    yield "ConvTranspose 3D", conv("ConvTranspose", **three, strides=[2, 2, 2])
    yield "ConvTranspose, output_shape", conv(**turned, pads=None, output_shape=[18, 16])
    yield "ConvTranspose, auto_pad", conv(**turned, pads=None, auto_pad="SAME_UPPER")
    flat = {"shape": (12,)}
    yield "Gemm, a bias of two axes", model("Gemm", _f(5, 12), _f(1, 5), transB=1, **flat)
    yield "Gemm, transB", model("Gemm", _f(5, 12), _f(5), transB=1, **flat)
    yield "Gemm, transB, no bias", model("Gemm", _f(5, 12), transB=1, **flat)
    yield "Gemm, not transB", model("Gemm", _f(12, 5), _f(5), **flat)
    yield "Gemm, alpha", model("Gemm", _f(5, 12), _f(5), transB=1, alpha=0.5, beta=2.0, **flat)
    yield "MatMul", model("MatMul", _f(8, 5))
    yield "MatMul of two sizes", model("MatMul", _f(12, 5), **flat)
    yield "MatMul from the left", model("MatMul", _f(5, 9), swapped=True)
    yield "MatMul of values", model("MatMul", twice=True, shape=(6, 6))


def _pools() -> Iterator[tuple[str, onnx.ModelProto]]:
    def pool(op: str, kernel: tuple[int, ...] = (3, 3), **more: Any) -> onnx.ModelProto:
        pads = {} if "auto_pad" in more else {"pads": [0] * 2 * len(kernel)}
        return model(op, **{"kernel_shape": kernel, "strides": [2] * len(kernel), **pads, **more})

    shapes = {"1D": ((3,), (4, 9)), "3D": ((2, 2, 2), (4, 6, 6, 6))}
    for op in ("MaxPool", "AveragePool"):
        plain = {} if op == "MaxPool" else {"count_include_pad": 0}
        yield op, pool(op, **plain)
        yield f"{op}, even pads", pool(op, pads=[1, 1, 1, 1], **plain)
        yield f"{op}, uneven pads", pool(op, pads=[0, 0, 1, 1], **plain)
        yield f"{op}, SAME_UPPER", pool(op, auto_pad="SAME_UPPER", **plain)
        yield f"{op}, SAME_LOWER", pool(op, auto_pad="SAME_LOWER", **plain)
        yield f"{op}, ceil_mode", pool(op, ceil_mode=1, **plain)
        for label, (kernel, shape) in shapes.items():
            yield f"{op} {label}", pool(op, kernel, shape=shape, **plain)
            padded = {"pads": [1] * 2 * len(kernel), "shape": shape, **plain}
            yield f"{op} {label}, pads", pool(op, kernel, **padded)
    whole = pool("MaxPool", pads=[0, 0, 1, 1], shape=(4, 8, 8))
    yield "MaxPool, uneven pads, no rest", whole
    yield "MaxPool, uneven pads, rest", pool("MaxPool", pads=[1, 1, 0, 0], shape=(4, 9, 9))
    yield (
        "MaxPool, stride 1, uneven pads",
        pool("MaxPool", (2, 2), pads=[0, 0, 1, 1], strides=[1, 1]),
    )
    yield "MaxPool, uneven pads on both sides", pool("MaxPool", (5, 5), pads=[1, 1, 2, 2])
    mixed = pool("MaxPool", pads=[0, 1, 1, 1], shape=(4, 8, 7))
    yield "MaxPool, pads that differ by axis", mixed
    yield "MaxPool, pads, rest", pool("MaxPool", pads=[1, 1, 1, 1], shape=(4, 8, 8))
    yield "MaxPool, rest", pool("MaxPool", shape=(4, 8, 8))
    yield (
        "AveragePool, pads, rest",
        pool("AveragePool", pads=[1, 1, 1, 1], shape=(4, 8, 8), count_include_pad=0),
    )
    yield "AveragePool, rest", pool("AveragePool", shape=(4, 8, 8), count_include_pad=0)
    uneven = {"pads": [0, 1], "shape": (4, 9)}
    yield "MaxPool 1D, uneven pads", pool("MaxPool", (3,), **uneven)
    yield "MaxPool, no strides", model("MaxPool", kernel_shape=[2, 2], pads=[0] * 4)
    yield "MaxPool, dilations", pool("MaxPool", dilations=[2, 2])
    wide = {"strides": [1, 1], "opset": 19}
    yield "AveragePool, dilations", pool("AveragePool", (2, 2), dilations=[2, 2], **wide)
    yield "AveragePool, counting pads", pool("AveragePool", pads=[1] * 4, count_include_pad=1)
    for op in ("GlobalMaxPool", "GlobalAveragePool"):
        yield op, model(op)
        for label, (_, shape) in shapes.items():
            yield f"{op} {label}", model(op, shape=shape)


def _elementwise() -> Iterator[tuple[str, onnx.ModelProto]]:
    for op in _UNARY:
        yield op, model(op)
        yield f"{op} of a vector", model(op, shape=(12,))
    for op in _POSITIVE:
        yield f"positive {op}", model(op)
    yield "Elu, alpha", model("Elu", alpha=0.3)
    yield "Celu, alpha", model("Celu", alpha=2.0)
    yield "HardSigmoid, alpha", model("HardSigmoid", alpha=1 / 6, beta=0.5)
    yield "ThresholdedRelu", model("ThresholdedRelu", alpha=0.5)
    yield "Mish", model("Mish", opset=18)
    yield "Gelu", model("Gelu", opset=20)
    yield "Swish", model("Swish", opset=24)
    yield "Clip", model("Clip", _scalar(-0.5), _scalar(0.5))
    yield "Clip, one bound", model("Clip", _scalar(-0.5))
    yield "Clip of a vector", model("Clip", _scalar(-0.5), _scalar(0.5), shape=(12,))
    yield "positive Pow", model("Pow", _scalar(1.5))
    yield "Pow 4", model("Pow", _scalar(4.0))
    yield "Pow 2", model("Pow", _scalar(2.0))
    yield "Pow 3", model("Pow", _scalar(3.0))
    above = helper.make_node("Relu", ["x"], ["r"], name="r")
    least = helper.make_node("Max", ["r", "m"], ["b"], name="b")
    for exponent in (0.5, 0.7, 1.5):
        ends = {"e": _scalar(exponent)}
        for nodes, more in (([above], {}), ([above, least], {"m": _scalar(1.2e-38)})):
            powers = helper.make_node("Pow", [nodes[-1].output[0], "e"], ["y"], name="Pow")
            label = f"Pow {exponent} of a {nodes[-1].op_type}"
            yield label, graph_of([*nodes, powers], IMAGE, IMAGE, ends | more)
    yield "PRelu by channel", model("PRelu", _f(4, 1, 1))
    yield "PRelu by element", model("PRelu", _f(*IMAGE))
    yield "PRelu of one number", model("PRelu", _f(1, 1, 1))
    yield "PRelu of a vector", model("PRelu", _f(12), shape=(12,))
    for op in ("Add", "Sub", "Mul", "Div", "Max", "Min"):
        yield f"{op} a number", model(op, _scalar(1.5))
        yield f"{op} by channel", model(op, 2 + abs(_f(4, 1, 1)))
        yield f"{op} by position", model(op, 2 + abs(_f(9, 8)))
        yield f"{op} of a vector", model(op, 2 + abs(_f(12)), shape=(12,))
        yield f"{op} of values", model(op, twice=True)
    for op in ("Mul", "Max", "Sub"):
        yield f"{op} by element, all sizes", model(op, _f(1, *IMAGE))
    yield "a number Sub", model("Sub", _scalar(1.5), swapped=True)
    yield "positive a number Div", model("Div", _scalar(1.5), swapped=True)
    for op in ("Add", "Mul", "Max"):
        yield f"{op} by channel, all sizes", model(op, 2 + abs(_f(1, 4, 1, 1)))
    yield "Add by position, all sizes", model("Add", _f(1, 1, 9, 8))
    yield "Add by element, all sizes", model("Add", _f(1, *IMAGE))
    yield "Add by element", model("Add", _f(*IMAGE))
    yield "Add by channel 1D", model("Add", _f(4, 1), shape=(4, 9))
    yield "Add by channel 1D, all sizes", model("Add", _f(1, 4, 1), shape=(4, 9))
    yield "Add by channel 3D, all sizes", model("Add", _f(1, 4, 1, 1, 1), shape=(4, 5, 6, 3))
    yield "PRelu by channel, all sizes", model("PRelu", _f(1, 4, 1, 1))
    yield "PRelu by element, all sizes", model("PRelu", _f(1, *IMAGE))
    yield "stretching Add", _stretching("Add")
    yield "stretching Mul", _stretching("Mul")
    yield from _stretched_convolutions()
    yield from _alike()
    times = helper.make_node("Mul", ["x", "factors"], ["a"], name="Mul")
    conv = helper.make_node("Conv", ["a", "w"], ["y"], name="Conv", pads=[1, 1, 1, 1])
    weights = {"factors": _f(3), "w": _f(4, 1, 3, 3)}
    yield "Conv of a product", graph_of([times, conv], (1, 5, 3), (4, 5, 3), weights)
    yield "stretching both", _stretching("Add", both=True)
    for op in ("Softmax", "LogSoftmax"):
        yield f"{op}, no axis", model(op)
        yield f"{op}, opset 11", model(op, axis=1, opset=11)
        yield f"{op}, opset 11, the last axis", model(op, axis=3, opset=11)
        yield f"{op} of a vector", model(op, shape=(12,), axis=1)
        for axis in (1, 2, 3, -1):
            yield f"{op} {axis}", model(op, axis=axis)
        yield f"{op} of two sizes, 2", model(op, shape=(4, 9), axis=2)
        yield f"{op} of four sizes, 3", model(op, shape=(4, 5, 6, 3), axis=3)


def _stretched_convolutions() -> Iterator[tuple[str, onnx.ModelProto]]:
    point = {"kernel_shape": [1, 1], "pads": [0] * 4, "strides": [1, 1]}
    first = helper.make_node("Conv", ["x", "v"], ["a"], name="a", **point)
    weights = {"v": _f(4, 4, 1, 1), "w": _f(1, 4, 1, 1)}
    one = helper.make_node("Conv", ["x", "w"], ["b"], name="b", **point)
    times = helper.make_node("Mul", ["a", "b"], ["y"], name="Mul")
    yield "Mul, stretched channels", graph_of([first, one, times], IMAGE, IMAGE, weights)
    weights = {"v": _f(4, 4, 1, 1), "w": _f(4, 4, 9, 8)}
    small = helper.make_node("Conv", ["x", "w"], ["b"], name="b", kernel_shape=[9, 8])
    plus = helper.make_node("Add", ["a", "b"], ["y"], name="Add")
    yield "Add, stretched", graph_of([first, small, plus], IMAGE, IMAGE, weights)


def _alike() -> Iterator[tuple[str, onnx.ModelProto]]:
    """Products, and a normalization, that OpenCV joins with what comes before them."""
    nodes = [helper.make_node("Elu", ["x"], ["e"], name="e")]
    gate = helper.make_node("HardSigmoid", ["e"], ["g"], alpha=1 / 6, beta=0.5, name="g")
    times = helper.make_node("Mul", ["x", "g"], ["y"], name="Mul")
    yield "Mul by a HardSigmoid of another", graph_of([*nodes, gate, times], IMAGE, IMAGE)
    other = helper.make_node("HardSigmoid", ["e"], ["g"], alpha=0.2, beta=0.5, name="g")
    yield "Mul by a HardSigmoid of 0.2", graph_of([*nodes, other, times], IMAGE, IMAGE)
    gelu = [
        helper.make_node("Div", ["x", "root"], ["d"], name="d"),
        helper.make_node("Erf", ["d"], ["e"], name="e"),
        helper.make_node("Add", ["e", "one"], ["a"], name="a"),
        helper.make_node("Mul", ["x", "a"], ["m"], name="m"),
        helper.make_node("Mul", ["m", "half"], ["y"], name="Mul"),
    ]
    ends = {"root": _scalar(2**0.5), "one": _scalar(1.0)}
    yield "Mul by 3 of half a Gelu", graph_of(gelu, IMAGE, IMAGE, {**ends, "half": _scalar(3.0)})
    point = {"kernel_shape": [1, 1], "pads": [0] * 4, "strides": [1, 1]}
    joined = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="c", **point),
        helper.make_node("Sigmoid", ["c"], ["t"], name="t"),
        helper.make_node("BatchNormalization", ["t", "g", "b", "m", "v"], ["y"], name="norm"),
    ]
    numbers = {"g": _f(4), "b": _f(4), "m": _f(4), "v": abs(_f(4)) + 1}
    weights = {"w": _f(4, 4, 1, 1), **numbers}
    yield "BatchNormalization of a function", graph_of(joined, IMAGE, IMAGE, weights)
    twice = [
        helper.make_node("MatMul", ["l", "x"], ["a"], name="a"),
        helper.make_node("MatMul", ["l", "a"], ["y"], name="b"),
    ]
    yield "MatMul, a constant twice", graph_of(twice, IMAGE, IMAGE, {"l": _f(9, 9)})


def _stretching(op: str, both: bool = False) -> onnx.ModelProto:
    """A gate of one number a channel with an image, both made of the input."""
    first = helper.make_node("GlobalAveragePool", ["x"], ["g"], name="g")
    nodes = [first, helper.make_node(op, ["x", "g"], ["y"], name=op)]
    if both:
        row = helper.make_node("ReduceMean", ["x"], ["r"], axes=[2], keepdims=1, name="r")
        column = helper.make_node("ReduceMean", ["x"], ["c"], axes=[3], keepdims=1, name="c")
        nodes = [row, column, helper.make_node(op, ["r", "c"], ["y"], name=op)]
    return graph_of(nodes, IMAGE, IMAGE)


def graph_of(
    nodes: list[onnx.NodeProto],
    shape: tuple[int, ...],
    result: tuple[int, ...],
    constants: dict[str, Array] | None = None,
    opset: int = 17,
    vector: int = 0,
) -> onnx.ModelProto:
    """A model of several nodes from `x`, and a vector `v` of some size, to `y`."""
    sizes = {"x": shape, **({"v": (vector,)} if vector else {})}
    graph = helper.make_graph(
        nodes,
        "probe",
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *of])
            for name, of in sizes.items()
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", *result])],
        [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
    )
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version(opset))


def _moves() -> Iterator[tuple[str, onnx.ModelProto]]:
    yield "Flatten", model("Flatten", axis=1)
    yield "Flatten 2", model("Flatten", axis=2, batch=2)
    yield "Reshape, 0 for the batch", model("Reshape", _i(0, 9, 8, 4))
    yield "Reshape to two sizes", model("Reshape", _i(0, 4, 72))
    yield "Reshape, two joined", model("Reshape", _i(0, 2, -1, 8))
    yield "Reshape of a vector", model("Reshape", _i(0, 3, 2, 2), shape=(12,))
    yield "Reshape, -1 for the batch", model("Reshape", _i(-1, 288))
    yield "Transpose to channels last", model("Transpose", perm=[0, 2, 3, 1])
    yield "Transpose to channels first", model("Transpose", perm=[0, 3, 1, 2])
    yield "Transpose, sizes swapped", model("Transpose", perm=[0, 1, 3, 2])
    yield "Transpose of two sizes", model("Transpose", perm=[0, 2, 1], shape=(4, 9))
    yield "Transpose of four sizes", model("Transpose", perm=[0, 2, 3, 4, 1], shape=(4, 5, 6, 3))
    yield "Transpose of the batch", model("Transpose", perm=[1, 0, 2, 3])
    for axis in (1, 2, 3):
        yield f"Concat {axis}", model("Concat", twice=True, axis=axis)
    yield "Concat of vectors", model("Concat", twice=True, shape=(12,), axis=1)
    yield "Concat of two sizes", model("Concat", twice=True, shape=(4, 9), axis=2)
    yield "Concat of four sizes", model("Concat", twice=True, shape=(4, 5, 6, 3), axis=1)
    zero = _scalar(0)
    yield "Pad", model("Pad", _i(0, 0, 1, 2, 0, 0, 3, 0), zero)
    yield "Pad, no value", model("Pad", _i(0, 0, 1, 2, 0, 0, 3, 0))
    yield "Pad 1D, no value", model("Pad", _i(0, 0, 1, 0, 0, 2), shape=(4, 9))
    yield "Pad 3D, no value", model("Pad", _i(0, 0, 1, 1, 0, 0, 0, 2, 0, 1), shape=(4, 5, 6, 3))
    yield "Pad of channels, no value", model("Pad", _i(0, 1, 0, 0, 0, 1, 0, 0))
    yield "Pad of a number", model("Pad", _i(0, 0, 1, 2, 0, 0, 3, 0), _scalar(1.5))
    yield (
        "Pad of the smallest number",
        model("Pad", _i(0, 0, 1, 2, 0, 0, 3, 0), np.array(np.finfo(np.float32).smallest_subnormal)),
    )
    yield "Pad of channels", model("Pad", _i(0, 1, 0, 0, 0, 1, 0, 0), zero)
    yield "Pad 1D", model("Pad", _i(0, 0, 1, 0, 0, 2), zero, shape=(4, 9))
    yield "Pad 3D", model("Pad", _i(0, 0, 1, 1, 0, 0, 0, 2, 0, 1), zero, shape=(4, 5, 6, 3))
    yield "Pad, reflect", model("Pad", _i(0, 0, 1, 1, 0, 0, 1, 1), mode="reflect")
    end = 2**31 - 1
    yield "Slice", model("Slice", _i(1, 2), _i(-1, end), _i(2, 3))
    yield "Slice of channels", model("Slice", _i(1), _i(3), _i(1), _i(1))
    yield "Slice, step 2", model("Slice", _i(0), _i(end), _i(2), _i(2))
    yield "Slice, step -1", model("Slice", _i(end), _i(-end - 1), _i(3), _i(-1))
    large = model("Slice", _i(end), _i(-end - 1), _i(3), _i(-1), shape=(16, 64, 64))
    yield "Slice of a large image, step -1", large
    yield "Slice 1D", model("Slice", _i(1), _i(-1), _i(2), shape=(4, 9))
    yield "Slice 3D", model("Slice", _i(1, 0, 1), _i(-1, end, -1), _i(2, 3, 4), shape=(4, 5, 6, 3))
    yield "Slice of a vector", model("Slice", _i(2), _i(7), _i(1), shape=(12,))
    yield "Gather of rows", model("Gather", _i(0, 0, 2, 5, 8), axis=2)
    yield "Gather of columns", model("Gather", _i(7, 0, 2, 5), axis=3)
    yield "Expand", model("Expand", _i(1, 1, 5), shape=(4, 1))
    two, three = _scales(1.0, 1.0, 2.0, 2.0), _scales(1.0, 1.0, 3.0, 2.0)
    floor = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    yield "Resize, nearest", model("Resize", None, two, mode="nearest", **floor)
    yield "Resize, nearest, two factors", model("Resize", None, three, mode="nearest", **floor)
    half = {"coordinate_transformation_mode": "half_pixel"}
    yield "Resize, nearest half-pixel", model("Resize", None, two, mode="nearest", **half)
    yield "Resize, linear", model("Resize", None, two, mode="linear", **half)
    odd, other = _scales(1.0, 1.0, 7 / 9, 13 / 8), _scales(1.0, 1.0, 7 / 9, 1.7)
    yield "Resize, linear, odd factors", model("Resize", None, odd, mode="linear", **half)
    beyond = _scales(1.0, 1.0, 1.7, 1.7)
    skewed = model("Resize", None, beyond, mode="nearest", shape=(4, 16, 16), **floor)
    yield "Resize, nearest, other scales", skewed
    yield from _rare_resizes()
    yield "Resize, linear, other scales", model("Resize", None, other, mode="linear", **half)
    corners = {"coordinate_transformation_mode": "align_corners"}
    yield "Resize, linear align_corners", model("Resize", None, two, mode="linear", **corners)
    cut = model("Resize", None, other, mode="linear", **corners)
    yield "Resize, linear align_corners, other scales", cut
    skew = {"coordinate_transformation_mode": "asymmetric"}
    yield "Resize, linear asymmetric", model("Resize", None, two, mode="linear", **skew)
    row = model("Resize", None, two, shape=(4, 1, 8), mode="linear", **half)
    yield "Resize, linear, one row", row
    point = helper.make_node("GlobalAveragePool", ["x"], ["p"], name="p")
    conv = helper.make_node("Conv", ["p", "w"], ["c"], kernel_shape=[1, 1], name="c")
    wide = helper.make_node("Resize", ["c", "", "s"], ["y"], mode="linear", name="Resize", **half)
    ends = {"w": _f(4, 4, 1, 1), "s": _scales(1.0, 1.0, 9.0, 8.0)}
    yield "Resize, linear, of a point", graph_of([point, conv, wide], IMAGE, IMAGE, ends)
    yield "Resize, cubic", model("Resize", None, two, mode="cubic", **half)
    for label, scales, shape in (
        ("1D", _scales(1.0, 1.0, 3.0), (4, 9)),
        ("3D", _scales(1.0, 1.0, 2.0, 2.0, 3.0), (4, 5, 6, 3)),
    ):
        nearest = model("Resize", None, scales, shape=shape, mode="nearest", **floor)
        yield f"Resize {label}, nearest", nearest
    yield (
        "Pad of the lowest number",
        model("Pad", _i(0, 0, 0, 0, 0, 0, 1, 1), np.array(np.finfo(np.float32).min)),
    )
    yield "Slice of channels, no steps", model("Slice", _i(1), _i(3), _i(1))
    yield "Pad, negative", model("Pad", _i(0, 0, -1, -1, 0, 0, -1, -1))
    yield "Squeeze", model("Squeeze", _i(3), shape=(4, 9, 1))
    yield "Unsqueeze", model("Unsqueeze", _i(2), shape=(4, 9))
    before = helper.make_node("Neg", ["x"], ["n"], name="before")
    dropout = helper.make_node("Dropout", ["n"], ["d"], name="Dropout")
    after = helper.make_node("Neg", ["d"], ["y"], name="after")
    yield "Dropout", graph_of([before, dropout, after], IMAGE, IMAGE)
    yield "Tile", model("Tile", _i(1, 1, 1, 5), shape=(4, 9, 1))
    yield "Sum", model("Sum", twice=True)
    yield "Split", _split()
    yield "TopK", _top("y", "places")
    yield "TopK, places", _top("scores", "y")
    yield "uint8 input", _pixels([0, 3, 1, 2])
    yield "uint8 input, channels first", _pixels([0, 1, 2, 3])
    yield "shape arithmetic", _arithmetic()
    yield "Constant", _constant()
    yield "float16", _half()
    yield "weights in float16", _half_weights()
    yield "int8", _integers()
    yield "uint8, zero points", _integers(np.uint8, 3)
    yield "int8, Softmax", _integer_softmax()
    yield "int8, Gemm", _integer_gemm()
    yield "DepthToSpace", model("DepthToSpace", blocksize=2)
    yield "SpaceToDepth", model("SpaceToDepth", blocksize=2, shape=(4, 8, 8))


def _rare_resizes() -> Iterator[tuple[str, onnx.ModelProto]]:
    two, half = _scales(1.0, 1.0, 2.0, 2.0), _scales(1.0, 1.0, 0.5, 0.5)
    mode, middle = "coordinate_transformation_mode", "half_pixel"
    for kind, last in (("asymmetric", "ceil"), (middle, "floor"), (middle, "round_prefer_ceil")):
        made = model("Resize", None, two, mode="nearest", **{mode: kind}, nearest_mode=last)
        yield f"Resize, nearest {kind} {last}", made
    small = {"mode": "nearest", mode: middle, "shape": (4, 8, 16)}
    yield "Resize, nearest half-pixel, smaller", model("Resize", None, half, **small)
    yield "Resize, no mode", model("Resize", None, two, **{mode: middle})
    yield "Resize, linear, no coordinates", model("Resize", None, two, mode="linear")
    more = {"mode": "linear", mode: middle, "opset": 19}
    symmetric = model("Resize", None, two, **{**more, mode: "half_pixel_symmetric"})
    yield "Resize, linear half_pixel_symmetric", symmetric
    yield "Resize, linear, axes", model("Resize", None, _scales(2.0, 2.0), axes=[2, 3], **more)
    smooth = model("Resize", None, half, antialias=1, shape=(4, 8, 16), **more)
    yield "Resize, linear, antialias", smooth


def _split() -> onnx.ModelProto:
    split = helper.make_node("Split", ["x", "s"], ["a", "b"], axis=1, name="Split")
    nodes = [split, helper.make_node("Sub", ["a", "b"], ["y"], name="Sub")]
    return graph_of(nodes, IMAGE, (2, 9, 8), {"s": _i(2, 2)})


def _top(*results: str) -> onnx.ModelProto:
    made = graph_of(
        [helper.make_node("TopK", ["x", "k"], results, axis=-1, name="TopK")],
        (12,),
        (5,),
        {"k": _i(5)},
    )
    kind = TensorProto.FLOAT if results[0] == "y" else TensorProto.INT64
    made.graph.output[0].type.tensor_type.elem_type = kind
    return made


def _pixels(order: list[int]) -> onnx.ModelProto:
    """A convolution of bytes, which a Cast makes float32, in a layout."""
    sizes = [0, *IMAGE]
    shape = tuple(sizes[order.index(axis)] for axis in range(1, 4))
    nodes = [
        helper.make_node("Cast", ["x"], ["c"], to=TensorProto.FLOAT, name="Cast"),
        helper.make_node("Transpose", ["c"], ["t"], perm=order, name="Transpose"),
        helper.make_node("Conv", ["t", "w"], ["y"], kernel_shape=[3, 3], name="Conv"),
    ]
    made = graph_of(nodes, shape, (6, 7, 6), {"w": _f(6, 4, 3, 3)})
    made.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    return made


def _arithmetic() -> onnx.ModelProto:
    """The batch read from the input, as exporters do that do not know it."""
    nodes = [
        helper.make_node("Shape", ["x"], ["s"], name="Shape"),
        helper.make_node("Gather", ["s", "zero"], ["n"], axis=0, name="Gather"),
        helper.make_node("Concat", ["n", "rest"], ["sizes"], axis=0, name="Concat"),
        helper.make_node("Reshape", ["x", "sizes"], ["y"], name="Reshape"),
    ]
    return graph_of(nodes, IMAGE, (288,), {"zero": _i(0), "rest": _i(-1)})


def _constant() -> onnx.ModelProto:
    value = numpy_helper.from_array(_scalar(1.5), "v")
    nodes = [
        helper.make_node("Constant", [], ["v"], value=value, name="Constant"),
        helper.make_node("Add", ["x", "v"], ["y"], name="Add"),
    ]
    return graph_of(nodes, IMAGE, IMAGE)


def _half() -> onnx.ModelProto:
    """A convolution and a Gemm in float16, between Casts."""
    nodes = [
        helper.make_node("Cast", ["x"], ["h"], to=TensorProto.FLOAT16, name="in"),
        helper.make_node("Conv", ["h", "w"], ["c"], kernel_shape=[9, 8], name="Conv"),
        helper.make_node("Flatten", ["c"], ["f"], axis=1, name="Flatten"),
        helper.make_node("Gemm", ["f", "g", "b"], ["p"], transB=1, name="Gemm"),
        helper.make_node("Cast", ["p"], ["y"], to=TensorProto.FLOAT, name="out"),
    ]
    weights = {"w": _f(6, 4, 9, 8) / 16, "g": _f(5, 6), "b": _f(5)}
    halves = {name: array.astype(np.float16) for name, array in weights.items()}
    return graph_of(nodes, IMAGE, (5,), halves)


def _half_weights() -> onnx.ModelProto:
    """Weights in float16, cast to float32 where they are used."""
    nodes = [
        helper.make_node("Cast", ["w"], ["v"], to=TensorProto.FLOAT, name="cast"),
        helper.make_node("Conv", ["x", "v"], ["c"], kernel_shape=[9, 8], name="Conv"),
        helper.make_node("Flatten", ["c"], ["f"], axis=1, name="Flatten"),
        helper.make_node("Cast", ["g"], ["u"], to=TensorProto.FLOAT, name="cast2"),
        helper.make_node("Gemm", ["f", "u"], ["y"], transB=1, name="Gemm"),
    ]
    weights = {"w": _f(6, 4, 9, 8).astype(np.float16), "g": _f(5, 6).astype(np.float16)}
    return graph_of(nodes, IMAGE, (5,), weights)


def _integers(kind: Any = np.int8, zero_point: int = 0) -> onnx.ModelProto:
    """A convolution between 8-bit integers, as QDQ."""
    scale, zero = _scalar(0.02), np.array(zero_point, kind)
    weights = {
        "w": (_f(6, 4, 3, 3) * 40).astype(np.int8),
        "ws": np.full(6, 0.025, np.float32),
        "wz": np.zeros(6, np.int8),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], name="quantize"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], name="dequantize"),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["v"], axis=0, name="weights"),
        helper.make_node("Conv", ["d", "v"], ["y"], kernel_shape=[3, 3], name="Conv"),
    ]
    return graph_of(nodes, IMAGE, (6, 7, 6), {"s": scale, "z": zero, **weights})


def _integer_gemm() -> onnx.ModelProto:
    """A Gemm with a bias between 8-bit integers, as QDQ."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], name="quantize"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], name="dequantize"),
        helper.make_node("DequantizeLinear", ["w", "s", "z"], ["v"], name="weights"),
        helper.make_node("DequantizeLinear", ["b", "bs", "bz"], ["c"], name="bias"),
        helper.make_node("Gemm", ["d", "v", "c"], ["g"], transB=1, name="Gemm"),
        helper.make_node("QuantizeLinear", ["g", "s", "z"], ["r"], name="quantize2"),
        helper.make_node("DequantizeLinear", ["r", "s", "z"], ["y"], name="dequantize2"),
    ]
    scale, zero = _scalar(0.02), np.array(0, np.int8)
    integers = {"w": (_f(5, 12) * 20).astype(np.int8), "b": (_f(5) * 900).astype(np.int32)}
    bias = {"bs": np.array([4e-4], np.float32), "bz": np.zeros(1, np.int32)}
    return graph_of(nodes, (12,), (5,), {"s": scale, "z": zero, **integers, **bias})


def _integer_softmax() -> onnx.ModelProto:
    """A Softmax between 8-bit integers, as QDQ."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], name="quantize"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], name="dequantize"),
        helper.make_node("Softmax", ["d"], ["p"], axis=1, name="Softmax"),
        helper.make_node("QuantizeLinear", ["p", "t", "z"], ["r"], name="quantize2"),
        helper.make_node("DequantizeLinear", ["r", "t", "z"], ["y"], name="dequantize2"),
    ]
    scales = {"s": _scalar(0.05), "t": _scalar(0.004), "z": np.array(0, np.int8)}
    return graph_of(nodes, IMAGE, IMAGE, scales)


def anchored(made: onnx.ModelProto) -> onnx.ModelProto:
    """The same function behind a convolution or a Gemm that changes nothing.

    From these pnnx tells which axis is the batch; no network is without them.
    """
    anchored = onnx.ModelProto()
    anchored.CopyFrom(made)
    if made.graph.input[0].type.tensor_type.elem_type != TensorProto.FLOAT:
        return anchored
    dims = made.graph.input[0].type.tensor_type.shape.dim
    count, spatial = dims[1].dim_value, len(dims) - 2
    eye = np.eye(count, dtype=np.float32).reshape(count, count, *(1,) * spatial)
    anchored.graph.initializer.append(numpy_helper.from_array(eye, "eye"))
    more = {"kernel_shape": [1] * spatial} if spatial else {"transB": 1}
    kind = "Conv" if spatial else "Gemm"
    anchor = helper.make_node(kind, ["x", "eye"], ["anchored"], name="anchor", **more)
    for node in anchored.graph.node:
        node.input[:] = ["anchored" if name == "x" else name for name in node.input]
    anchored.graph.node.insert(0, anchor)
    return anchored


def _scales(*values: float) -> Array:
    return np.array(values, np.float32)


def _reductions() -> Iterator[tuple[str, onnx.ModelProto]]:
    for op in ("ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceSum"):
        for axes in ([1], [2, 3], [1, 2, 3], [3]):
            for keep in (0, 1):
                if op == "ReduceSum":
                    made = model(op, _i(*axes), keepdims=keep)
                else:
                    made = model(op, axes=axes, keepdims=keep)
                yield f"{op} {axes}{', kept' * keep}", made
        if op == "ReduceL2":
            yield "ReduceL2 of one element", model(op, axes=[1], keepdims=1, shape=(1, 9, 8))
        if op != "ReduceSum":
            yield f"{op} of a vector", model(op, axes=[1], keepdims=1, shape=(12,))
            new = model(op, _i(2, 3), keepdims=1, opset=18)
            yield f"{op}, axes as an input", new


def _normalizations() -> Iterator[tuple[str, onnx.ModelProto]]:
    def norm(shape: tuple[int, ...]) -> onnx.ModelProto:
        c = shape[0]
        numbers = (_f(c), _f(c), _f(c), abs(_f(c)) + 1)
        return model("BatchNormalization", *numbers, shape=shape, epsilon=1e-3)

    yield "BatchNormalization", norm(IMAGE)
    yield "BatchNormalization of a vector", norm((12,))
    yield "BatchNormalization 1D", norm((4, 9))
    yield "BatchNormalization 3D", norm((4, 5, 6, 3))
    nodes = [
        helper.make_node(
            "BatchNormalization",
            ["x", "g", "b", "m", "v"],
            ["y", "means", "variances"],
            training_mode=1,
            name="BatchNormalization",
        )
    ]
    numbers = {"g": _f(4), "b": _f(4), "m": _f(4), "v": abs(_f(4)) + 1}
    # onnxruntime spoils what lies beside it: the opset keeps it in a file of its own.
    yield "BatchNormalization, training", graph_of(nodes, IMAGE, IMAGE, numbers, opset=14)
    yield "InstanceNormalization", model("InstanceNormalization", _f(4), _f(4), epsilon=1e-3)
    yield "InstanceNormalization 1D", model("InstanceNormalization", _f(4), _f(4), shape=(4, 9))
    three = model("InstanceNormalization", _f(4), _f(4), shape=(4, 5, 6, 3))
    yield "InstanceNormalization 3D", three
    yield "LayerNormalization", model("LayerNormalization", _f(8), _f(8), axis=3, epsilon=1e-3)
    yield "LayerNormalization, no bias", model("LayerNormalization", _f(8), axis=3)
    yield (
        "LayerNormalization of a vector",
        model("LayerNormalization", _f(12), _f(12), axis=1, shape=(12,)),
    )
    whole = model("LayerNormalization", _f(*IMAGE), _f(*IMAGE), axis=1)
    yield "LayerNormalization of an image", whole
    yield "ReduceMean of the batch", model("ReduceMean", keepdims=1, batch=2)
    yield "LRN", model("LRN", size=3, alpha=0.3, beta=0.5, bias=1.0)


def merged(models: Sequence[onnx.ModelProto]) -> onnx.ModelProto:
    """Models of one opset side by side in one, each with its place before the names in it."""
    whole = onnx.ModelProto()
    for place, model in enumerate(models):
        part = onnx.compose.add_prefix(model, f"{place}/")
        whole.graph.MergeFrom(part.graph)
        whole.ir_version = part.ir_version
    whole.graph.name = "probes"
    whole.opset_import.extend(part.opset_import)
    return whole


def as_written(path: Path, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """What onnxruntime makes of a file as it is written, by name."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
    names = [item.name for item in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(feeds)), strict=True))


def feeds(name: str, made: onnx.ModelProto, batch: int) -> dict[str, Array]:
    """A batch for a probe, by input."""
    return {item.name: _feed(name, item.type.tensor_type, batch) for item in made.graph.input}


def _feed(name: str, kind: onnx.TypeProto.Tensor, batch: int) -> Array:
    sizes = (batch, *(d.dim_value or 9 for d in kind.shape.dim[1:]))
    if kind.elem_type == TensorProto.UINT8:
        return _rng().integers(0, 256, sizes).astype(np.uint8)
    x = _rng().normal(size=sizes).astype(np.float32)
    return abs(x) + np.float32(0.1) if name.startswith("positive") else x
