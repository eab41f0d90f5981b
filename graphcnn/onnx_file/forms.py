"""The forms of ONNX's operators that runtimes differ over, each as a test of one node.

What a runtime makes of a form is in `graphcnn.targets`; an operator that is taken at all is taken
in every form that is not among these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphcnn.ops.forms import overreaching, pads_of_windows

from .values import OnnxValue

if TYPE_CHECKING:
    import numpy as np
    import onnx

    Array = np.ndarray[Any, np.dtype[Any]]

_POOLS = ("AveragePool", "MaxPool")
_CONVOLUTIONS = ("Conv", "ConvTranspose")
_GLOBAL = ("GlobalAveragePool", "GlobalMaxPool")
_REDUCTIONS = (
    *("ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum"),
    "ReduceSumSquare",
)


@dataclass(frozen=True, slots=True)
class Item:
    """One node as a form sees it.

    Attributes:
        op: Its operator.
        attributes: Its attributes as Python values, texts as `str`.
        operands: What it takes; None for one that is left out.
        constants: The values of those operands that are small constants, None for the others.
        result: What it makes.
    """

    op: str
    attributes: Mapping[str, Any]
    operands: tuple[OnnxValue | None, ...]
    constants: tuple[Array | None, ...]
    result: OnnxValue

    @property
    def spatial(self) -> int | None:
        """How many axes its input has after the batch and the channels."""
        return self.rank and self.rank - 2

    @property
    def rank(self) -> int | None:
        """How many axes its input has."""
        shape = self.operands[0].shape if self.operands and self.operands[0] else None
        return None if shape is None else len(shape)

    def number(self, key: str, index: int) -> list[float]:
        """Numbers that are an attribute, or since a later opset an input."""
        if key in self.attributes:
            given = self.attributes[key]
            return list(given) if isinstance(given, list | tuple) else [given]
        values = self.constants[index] if index < len(self.constants) else None
        return [] if values is None else list(values.reshape(-1).tolist())

    def text(self, key: str, default: str) -> str:
        """An attribute that is a text."""
        return str(self.attributes.get(key, default))


@dataclass(frozen=True, slots=True)
class Form:
    """A form of some operators.

    Attributes:
        ops: The operators that have it.
        holds: Whether a node of these has it.
        instead: What does the same, for people.
    """

    ops: tuple[str, ...]
    holds: Callable[[Item], bool]
    instead: str


def _pads(item: Item) -> tuple[list[int], list[int]]:
    pads = list(item.attributes.get("pads", ()))
    return pads[: len(pads) // 2], pads[len(pads) // 2 :]


def _uneven(item: Item) -> bool:
    befores, afters = _pads(item)
    return befores != afters


def _uneven_before(item: Item) -> bool:
    """Whether pads are uneven, and not the same number after each axis and none before."""
    befores, afters = _pads(item)
    return befores != afters and (any(befores) or len(set(afters)) > 1)


def _padded(item: Item) -> bool:
    return any(item.attributes.get("pads", ()))


def _padded_point(item: Item) -> bool:
    """Whether all of a kernel's sizes are 1, and it is padded."""
    return _padded(item) and set(item.attributes.get("kernel_shape", ())) == {1}


def _thinning(item: Item) -> bool:
    """Whether positions are left out along an axis by a kernel of 1."""
    kernel = item.attributes.get("kernel_shape", ())
    strides = item.attributes.get("strides", [1] * len(kernel))
    return any(k == 1 < s for k, s in zip(kernel, strides, strict=True))


def _dilated(item: Item) -> bool:
    return any(d != 1 for d in item.attributes.get("dilations", ()))


def _overreaching(item: Item) -> bool:
    """Whether there is one kernel a channel, of the kind that `overreaching` tells."""
    x, kernel = (value.shape if value else None for value in item.operands[:2])
    depthwise = kernel is not None and kernel[:2] == (item.attributes.get("group", 1), 1) != (1, 1)
    return depthwise and overreaching(item.attributes, (x or (None,) * 4)[2:])


def _auto_pad(kind: str) -> Callable[[Item], bool]:
    return lambda item: item.text("auto_pad", "NOTSET") == kind


def _rank(spatial: int) -> Callable[[Item], bool]:
    return lambda item: item.spatial == spatial


def _leaves_rest(item: Item) -> bool:
    """Whether the windows of a pool with uneven pads end before the padded input does."""
    shape = item.operands[0].shape if item.operands[0] else None
    befores, afters = _pads(item)
    if not shape or not _uneven(item):
        return False
    kernel = item.attributes.get("kernel_shape", ())
    strides = item.attributes.get("strides", [1] * len(kernel))
    rows = zip(shape[2:], befores, afters, kernel, strides, strict=True)
    return any(not isinstance(n, int) or (n + b + a - k) % s for n, b, a, k, s in rows)


def _all_axes(item: Item) -> bool:
    """Whether everything but the batch is reduced, and that is several axes."""
    axes = {int(axis) % (item.rank or 1) for axis in item.number("axes", 1)}
    return (item.rank or 0) > 2 and axes == set(range(1, item.rank or 0))


def _one_element(item: Item) -> bool:
    shape = (item.operands[0].shape if item.operands[0] else None) or ()
    axes = item.number("axes", 1)
    return bool(shape and axes) and all(shape[int(axis)] == 1 for axis in axes)


def _whole_power(item: Item) -> bool:
    """Whether a number below zero is raised to a whole power, its square apart."""
    exponents = item.number("exponent", 1)
    return not exponents or any(n % 1 == 0 and n not in (1, 2) for n in exponents)


def _by_element(item: Item) -> bool:
    """Whether a slope differs between positions."""
    shape = item.operands[1].shape if len(item.operands) > 1 and item.operands[1] else None
    return (item.rank or 0) > 2 and (
        shape is None or any(n != 1 for n in shape[2 - (item.rank or 0) :])
    )


def _resize(mode: str, *coordinates: str) -> Callable[[Item], bool]:
    def holds(item: Item) -> bool:
        kind = item.text("coordinate_transformation_mode", "half_pixel")
        return item.text("mode", "nearest") == mode and kind in coordinates

    return holds


def _one_row(item: Item) -> bool:
    shape = item.operands[0].shape if item.operands[0] else None
    linear = item.text("mode", "nearest") == "linear"
    return linear and shape is not None and len(shape) == 4 and shape[2] == 1 != shape[3]


def _other_scale(item: Item) -> bool:
    """Whether a linear resize has scales that are not the ratios of its sizes."""
    before, after = item.operands[0], item.result
    scales = item.number("scales", 2)
    if item.text("mode", "nearest") != "linear" or not scales or not before:
        return False
    rows = zip(before.shape or (), after.shape or (), scales, strict=False)
    known = [(n, m, s) for n, m, s in rows if isinstance(n, int) and isinstance(m, int)]
    return any(abs(m / n - s) > 1e-5 * s for n, m, s in known)


def _steps(item: Item) -> list[float]:
    return item.number("steps", 4)


def _from_uint8(item: Item) -> bool:
    return item.operands[0] is not None and item.operands[0].dtype == "uint8"


FORMS: dict[str, Form] = {
    "auto_pad SAME_UPPER": Form(
        (*_CONVOLUTIONS, *_POOLS), _auto_pad("SAME_UPPER"), "the pads as numbers"
    ),
    "auto_pad SAME_LOWER": Form(
        (*_CONVOLUTIONS, *_POOLS), _auto_pad("SAME_LOWER"), "the pads as numbers"
    ),
    "uneven pads in 1D": Form(
        ("Conv", "MaxPool"), lambda i: i.spatial == 1 and _uneven(i), "a ZeroPadding1D before it"
    ),
    "pads before a kernel of 1": Form(
        ("Conv",),
        _padded_point,
        "a ZeroPadding before it",
    ),
    "pads as wide as the kernel": Form(
        ("Conv",), lambda i: pads_of_windows(i.attributes), "a ZeroPadding before it"
    ),
    "strides of a kernel of 1": Form(
        ("Conv",), _thinning, "a MaxPooling of 1 with the strides before it"
    ),
    "depthwise windows of 3 that overreach": Form(
        ("Conv",), _overreaching, "a ZeroPadding2D before it, and padding: valid"
    ),
    "dilations of Conv 3D": Form(
        ("Conv",), lambda i: i.spatial == 3 and _dilated(i), "a kernel without dilation"
    ),
    "Conv 1D": Form(("Conv",), _rank(1), "a Conv2D of height 1"),
    "uneven pads of ConvTranspose": Form(
        ("ConvTranspose",),
        _uneven,
        "padding: valid and a Cropping after it, or a kernel that is larger than its stride by an "
        "even number",
    ),
    "dilations of ConvTranspose": Form(("ConvTranspose",), _dilated, "a kernel without dilation"),
    "ConvTranspose 1D": Form(("ConvTranspose",), _rank(1), "an UpSampling1D and a Conv1D"),
    "ConvTranspose 3D": Form(("ConvTranspose",), _rank(3), "an UpSampling3D and a Conv3D"),
    "alpha or beta of Gemm": Form(
        ("Gemm",),
        lambda i: any(i.attributes.get(key, 1.0) != 1.0 for key in ("alpha", "beta")),
        "weights that are scaled",
    ),
    "uneven pads of MaxPool that windows end before": Form(
        ("MaxPool",), _leaves_rest, "pads that the windows fill, or a ZeroPadding before it"
    ),
    "uneven pads of MaxPool but after each axis alike": Form(
        ("MaxPool",), _uneven_before, "pads after the axes alone, or a ZeroPadding before it"
    ),
    "dilations of MaxPool": Form(("MaxPool",), _dilated, "a window without dilation"),
    "uneven pads of AveragePool": Form(
        ("AveragePool",), _uneven, "sizes that are known, so that it is written in pieces"
    ),
    "counted pads of AveragePool": Form(
        ("AveragePool",),
        lambda i: bool(i.attributes.get("count_include_pad")) and _padded(i),
        "a ZeroPadding before an average without pads",
    ),
    "MaxPool 1D": Form(("MaxPool",), _rank(1), "a MaxPooling2D of height 1"),
    "MaxPool 3D": Form(("MaxPool",), _rank(3), "a MaxPooling2D"),
    "AveragePool 1D": Form(("AveragePool",), _rank(1), "an AveragePooling2D of height 1"),
    "AveragePool 3D": Form(("AveragePool",), _rank(3), "an AveragePooling2D"),
    "global pool 3D": Form(_GLOBAL, _rank(3), "a Mean or a Max over the axes"),
    "alpha of Celu": Form(
        ("Celu",), lambda i: i.attributes.get("alpha", 1.0) != 1.0, "an elu between two products"
    ),
    "PRelu by element": Form(("PRelu",), _by_element, "shared_axes: [1, 2]"),
    "whole powers beyond 2": Form(("Pow",), _whole_power, "products"),
    "extremum of several axes": Form(
        ("ReduceMax", "ReduceMin"),
        lambda i: len(i.number("axes", 1)) > 1,
        "one axis after the other",
    ),
    "ReduceSum of one axis": Form(
        ("ReduceSum",), lambda i: len(i.number("axes", 1)) == 1, "a Mean times the size"
    ),
    "axes of ReduceL2 as an input": Form(("ReduceL2",), lambda i: len(i.operands) > 1, "opset 17"),
    "ReduceL2 of one element": Form(("ReduceL2",), _one_element, "an Abs"),
    "InstanceNormalization 1D": Form(
        ("InstanceNormalization",), _rank(1), "a value of two spatial axes, one of size 1"
    ),
    "LayerNormalization without bias": Form(
        ("LayerNormalization",), lambda i: len(i.operands) < 3, "center: true"
    ),
    "LayerNormalization of several axes": Form(
        ("LayerNormalization",),
        lambda i: i.attributes.get("axis", -1) not in (-1, (i.rank or 0) - 1),
        "its pieces",
    ),
    "Flatten of the batch": Form(
        ("Flatten",), lambda i: i.attributes.get("axis", 1) != 1, "axis 1, or a Reshape"
    ),
    "Transpose of the batch": Form(
        ("Transpose",), lambda i: list(i.attributes.get("perm", ()))[:1] != [0], "axes after it"
    ),
    "shape arithmetic": Form(
        ("Reshape",), lambda i: i.constants[1] is None, "a shape that is known, 0 for the batch"
    ),
    "reduction of everything": Form(_REDUCTIONS, _all_axes, "one axis after the other"),
    "negative steps": Form(("Slice",), lambda i: any(s < 0 for s in _steps(i)), "no reversal"),
    "steps": Form(("Slice",), lambda i: any(abs(s) > 1 for s in _steps(i)), "a MaxPooling of 1"),
    "Resize 1D": Form(("Resize",), _rank(1), "an UpSampling2D of height 1"),
    "Resize 3D": Form(("Resize",), _rank(3), "no enlargement of volumes"),
    "linear Resize, asymmetric": Form(
        ("Resize",), _resize("linear", "asymmetric"), "half_pixel or align_corners"
    ),
    "linear Resize of one row": Form(("Resize",), _one_row, "a Concatenate of it with itself"),
    "cubic Resize": Form(
        ("Resize",), lambda i: i.text("mode", "nearest") == "cubic", "interpolation: bilinear"
    ),
    "linear Resize by other scales than the sizes'": Form(
        ("Resize",), _other_scale, "scales that are the sizes' ratios"
    ),
    "uint8 input": Form(("Cast",), _from_uint8, "float32 pixels, without --preprocess embed"),
    "float16": Form(
        (), lambda i: i.result.dtype == "float16" and i.op != "Cast", "--precision fp16"
    ),
}
"""By name; one without operators is of all."""

INSTEAD = {
    **dict.fromkeys(("Gelu", "HardSwish", "Mish", "Swish", "ThresholdedRelu"), "its pieces"),
    **dict.fromkeys(("DepthToSpace", "SpaceToDepth"), "a Reshape, a Transpose and a Reshape"),
    **dict.fromkeys(("Expand", "Tile"), "a product with ones"),
    **dict.fromkeys(("DequantizeLinear", "QuantizeLinear"), "a file in float32"),
    "Celu": "an elu between two products",
    "Gather": "a product with a matrix of zeros and ones",
    "Pad": "the pads of a convolution or a pool",
    "Softsign": "x / (1 + abs(x))",
    "TopK": "the scores, without --postprocess",
}
"""What does the same as an operator that a runtime does not take at all."""


def _ranks(graph: onnx.GraphProto) -> bool:
    """Whether inputs of any batch have different numbers of axes."""
    weights = {tensor.name for tensor in graph.initializer}
    shapes = [i.type.tensor_type.shape.dim for i in graph.input if i.name not in weights]
    return len(set(map(len, shapes))) > 1 and any(
        not dim.dim_value for dims in shapes for dim in dims[:1]
    )


def _passed_on(graph: onnx.GraphProto) -> bool:
    return not {item.name for item in graph.input}.isdisjoint(item.name for item in graph.output)


def _twice(graph: onnx.GraphProto) -> bool:
    """Whether an output is another one under a second name."""
    outputs = {item.name for item in graph.output}
    copies = (node for node in graph.node if node.op_type == "Identity")
    return any({*node.input, *node.output} <= outputs for node in copies)


FILE_FORMS: dict[str, tuple[Callable[[onnx.GraphProto], bool], str]] = {
    "inputs of several ranks": (_ranks, "a fixed --batch, or images of 1x1 for vectors"),
    "outputs that are one value": (_twice, "one output for it"),
    "outputs that are inputs": (_passed_on, "outputs that are layers"),
}
"""The forms that a whole file has: tests of it, and what does the same."""


def forms_of(item: Item) -> list[str]:
    """The forms that a node has, by name."""
    return [
        name
        for name, form in FORMS.items()
        if (not form.ops or item.op in form.ops) and form.holds(item)
    ]
