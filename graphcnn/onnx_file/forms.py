"""The forms of ONNX's operators that runtimes differ over, each as a test of one node.

What a runtime makes of a form is in `graphcnn.targets`; an operator that is taken at all is taken
in every form that is not among these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from graphcnn.ops.forms import (
    as_wide_as_padded_kernel,
    is_function,
    is_scaled,
    overreaching,
    pads_of_windows,
    rests,
    to_one_column,
)

from .item import CONVOLUTIONS, POOLS, REDUCTIONS, Item, NotKnown, attributes

_GLOBAL = ("GlobalAveragePool", "GlobalMaxPool")


@dataclass(frozen=True, slots=True)
class Form:
    """A form of some operators.

    Attributes:
        ops: The operators that have it.
        holds: Whether a node of these has it.
        instead: What does the same, for people, where something does.
    """

    ops: tuple[str, ...]
    holds: Callable[[Item], bool]
    instead: str | None = None


def _pads(item: Item) -> tuple[list[int], list[int]]:
    pads = item.windows["pads"]
    return pads[: len(pads) // 2], pads[len(pads) // 2 :]


def _uneven(item: Item) -> bool:
    befores, afters = _pads(item)
    return befores != afters


def _uneven_before(item: Item) -> bool:
    """Whether pads are uneven, and not the same number after each axis and none before."""
    befores, afters = _pads(item)
    return befores != afters and (any(befores) or len(set(afters)) > 1)


def _padded(item: Item) -> bool:
    return any(item.windows["pads"])


def _padded_point(item: Item) -> bool:
    """Whether all of a kernel's sizes are 1, and it is padded."""
    return _padded(item) and set(item.kernel) == {1}


def _thinning(item: Item) -> bool:
    """Whether positions are left out along an axis by a kernel of 1."""
    return any(k == 1 < s for k, s in zip(item.kernel, item.windows["strides"], strict=True))


def _dilated(item: Item) -> bool:
    return set(item.windows["dilations"]) != {1}


def _overreaching(item: Item) -> bool:
    """Whether there is one kernel a channel, of the kind that `overreaching` tells."""
    depthwise = item.shape_of(1)[:2] == (item.attributes.get("group", 1), 1) != (1, 1)
    return depthwise and overreaching(item.windows, item.shape[2:])


def _one_column(item: Item) -> bool:
    """Whether an image of one channel becomes a column, in the way that `to_one_column` tells."""
    return item.shape_of(1)[1:2] == (1,) and (
        item.attributes.get("group", 1) == 1 and to_one_column(item.windows, item.shape[2:])
    )


def _product(item: Item) -> bool:
    """Whether it is of a product, in the way that `as_wide_as_padded_kernel` tells."""
    return is_scaled(item.maker(0)) and as_wide_as_padded_kernel(item.windows, item.shape[2:])


def _auto_pad(kind: str) -> Callable[[Item], bool]:
    return lambda item: item.text("auto_pad", "NOTSET") == kind


def _rank(spatial: int) -> Callable[[Item], bool]:
    return lambda item: item.spatial == spatial


def _leaves_rest(item: Item) -> bool:
    """Whether the windows of a pool with uneven pads end before the padded input does."""
    if not _uneven(item):
        return False
    rows = zip(rests(item.windows, item.shape[2:]), item.windows["strides"], strict=True)
    return any(rest is None or rest % stride for rest, stride in rows)


def _axes(item: Item) -> set[int]:
    return {int(axis) % item.rank for axis in item.number("axes", 1)}


def _all_axes(item: Item) -> bool:
    """Whether everything but the batch is reduced, and that is several axes."""
    return item.rank > 2 and _axes(item) == set(range(1, item.rank))


def _of_batch(item: Item) -> bool:
    """Whether the batch is reduced; without axes everything is."""
    axes = item.number("axes", 1)
    return not axes or (min(axes) <= 0 and 0 in _axes(item))


def _one_element(item: Item) -> bool:
    shape = (item.operands[0].shape if item.operands[0] else None) or ()
    axes = item.number("axes", 1)
    return bool(shape and axes) and all(shape[int(axis)] == 1 for axis in axes)


def _stretching(item: Item) -> list[bool]:
    """Whether one of two images, which are no constants, is stretched: by axis after the batch."""
    if not (item.has(0) and item.has(1)):
        return []
    one, other = item.shape, item.shape_of(1)
    alike = len(one) == len(other) > 3 and one[0] == other[0]
    return [a != b for a, b in zip(one[1:], other[1:], strict=True)] if alike else []


def _ends_alike(item: Item) -> bool:
    """Whether a product ends as a HardSwish, a Mish or a Gelu does that begins with other values.

    OpenCV holds the operators against these, and not that the values are the same.
    """
    names = [value.name if value else "" for value in item.operands]
    for place in (0, 1):
        one, other, half = names[place], names[1 - place], item.constants[1 - place]
        steep = item.makers.get(one)
        gates = item.roots(one, "Tanh", "Softplus")
        if steep and abs(attributes(steep).get("alpha", 0.2) - 1 / 6) < 1e-8:
            gates = item.roots(one, "HardSigmoid")
        if gates and other not in gates:
            return True
        if item.roots(one, "Mul", "Add", "Erf") and (half is None or (half != 0.5).any()):
            return True
    return False


def _whole_power(item: Item) -> bool:
    """Whether a number below zero is raised to a whole power, its square apart."""
    exponents = item.number("exponent", 1)
    return not exponents or any(n % 1 == 0 and n not in (1, 2) for n in exponents)


def _by_element(item: Item) -> bool:
    """Whether a slope differs between positions."""
    return item.rank > 2 and any(n != 1 for n in item.shape_of(1)[2 - item.rank :])


def _linear(item: Item) -> bool:
    return item.text("mode", "nearest") == "linear"


def _asymmetric(item: Item) -> bool:
    kind = item.text("coordinate_transformation_mode", "half_pixel")
    return _linear(item) and kind == "asymmetric"


def _one_line(item: Item) -> bool:
    return _linear(item) and item.rank == 4 and 1 in item.shape[2:]


def _other_scale(item: Item) -> bool:
    """Whether a resize has scales that are not the ratios of its sizes, or may be none."""
    scales = item.number("scales", 2)
    if not scales:
        return False
    after = (item.results[0].shape if item.results[0] else None) or [""] * item.rank
    axes = item.attributes.get("axes") or range(len(scales))
    rows = [(item.shape[axis], after[axis], s) for axis, s in zip(axes, scales, strict=True)]
    known = [(n, m, s) for n, m, s in rows if isinstance(n, int) and isinstance(m, int)]
    wrong = any(abs(m / n - s) > 1e-5 * s for n, m, s in known)
    return wrong or any(s % 1 for n, m, s in rows if (n, m, s) not in known)


def _rare_resize(item: Item) -> bool:
    """Whether a resize is none of those that most tools write.

    These are repetition from the corner, the nearest of the middles by whole factors, and
    interpolation between the middles or the corners.
    """
    given, kind = item.attributes, item.text("coordinate_transformation_mode", "half_pixel")
    switches = ("antialias", "axes", "exclude_outside")
    kept = item.text("keep_aspect_ratio_policy", "stretch") != "stretch"
    if kept or any(map(given.get, switches)) or given.get("cubic_coeff_a", -0.75) != -0.75:
        return True
    if item.text("mode", "nearest") != "nearest":
        return kind not in ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")
    if kind == "asymmetric":
        return item.text("nearest_mode", "") != "floor"
    scales = item.number("scales", 2)
    whole = bool(scales) and not any(scale % 1 for scale in scales)
    return kind != "half_pixel" or "nearest_mode" in given or not whole


def _left_constant(item: Item) -> bool:
    """Whether the first of two operands is a constant of several numbers."""
    return item.sources[0] == "Constant" and any(n != 1 for n in item.shape)


def _other_bias(item: Item) -> bool:
    """Whether the third operand is not one number a column."""
    if not item.has(2):
        return False
    columns = item.shape_of(1)[0 if item.attributes.get("transB") else 1]
    return item.shape_of(2) != (columns,)


def _flattening(item: Item) -> bool:
    """Whether an opset before 13 makes one axis of several, over which the results sum to 1."""
    return item.opset < 13 and item.attributes.get("axis", 1) % item.rank != item.rank - 1


def _copied_sizes(item: Item) -> bool:
    """Whether sizes beside the batch are copied into four or more."""
    sizes = item.number("shape", 1)
    return len(sizes) > 3 and 0 in sizes[1:]


def _steps(item: Item) -> list[float]:
    return item.number("steps", 4)


def _unsigned(item: Item) -> bool:
    """Whether a quantization is of unsigned integers, or zero lies elsewhere than at 0."""
    if item.has(2):
        zero = item.operands[2]
        return zero is None or zero.dtype[:3] != "int" or any(item.number("", 2))
    integers = item.results[0] if item.op == "QuantizeLinear" else item.operands[0]
    return integers is None or integers.dtype[:3] != "int"


FORMS: dict[str, Form] = {
    "auto_pad SAME_UPPER": Form(
        (*CONVOLUTIONS, *POOLS), _auto_pad("SAME_UPPER"), "the pads as numbers"
    ),
    "auto_pad SAME_LOWER": Form(
        (*CONVOLUTIONS, *POOLS), _auto_pad("SAME_LOWER"), "the pads as numbers"
    ),
    "uneven pads in 1D": Form(
        ("Conv", "MaxPool"), lambda i: i.spatial == 1 and _uneven(i), "a ZeroPadding1D before it"
    ),
    "pads before a kernel of 1": Form(("Conv",), _padded_point, "a ZeroPadding before it"),
    "pads as wide as the kernel": Form(
        ("Conv",), lambda i: pads_of_windows(i.windows), "a ZeroPadding before it"
    ),
    "pads around a product as wide as the kernel": Form(
        ("Conv",), _product, "a MaxPooling of 1 before it"
    ),
    "strides of the width to one column": Form(
        ("Conv",), _one_column, "strides of 1 and a Cropping before it, or strides of both axes"
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
    "uneven pads of ConvTranspose": Form(
        ("ConvTranspose",),
        _uneven,
        "padding: valid and a Cropping after it, or a kernel that is larger than its stride by an "
        "even number",
    ),
    "dilations of ConvTranspose": Form(("ConvTranspose",), _dilated, "a kernel without dilation"),
    "auto_pad or output_shape of ConvTranspose": Form(
        ("ConvTranspose",),
        lambda i: "output_shape" in i.attributes or i.text("auto_pad", "NOTSET") != "NOTSET",
        "the pads as numbers, and an output_padding",
    ),
    "ConvTranspose 1D": Form(("ConvTranspose",), _rank(1), "a Conv2DTranspose of height 1"),
    "ConvTranspose 3D": Form(("ConvTranspose",), _rank(3)),
    "alpha or beta of Gemm": Form(
        ("Gemm",),
        lambda i: any(i.attributes.get(key, 1.0) != 1.0 for key in ("alpha", "beta")),
        "weights that are scaled",
    ),
    "a bias of Gemm that is not one number a column": Form(
        ("Gemm",), _other_bias, "a bias of one axis"
    ),
    "uneven pads of MaxPool that windows end before": Form(
        ("MaxPool",), _leaves_rest, "pads that the windows fill, or a ZeroPadding before it"
    ),
    "uneven pads of MaxPool but after each axis alike": Form(
        ("MaxPool",), _uneven_before, "pads after the axes alone, or a ZeroPadding before it"
    ),
    "no strides of a pool": Form(
        POOLS, lambda i: not i.attributes.get("strides"), "strides of 1, said"
    ),
    "dilations of MaxPool": Form(("MaxPool",), _dilated, "a window without dilation"),
    "dilations of AveragePool": Form(
        ("AveragePool",), _dilated, "a depthwise Conv with dilations and weights that are alike"
    ),
    "uneven pads of AveragePool": Form(
        ("AveragePool",), _uneven, "sizes that are known, so that it is written in pieces"
    ),
    "counted pads of AveragePool": Form(
        ("AveragePool",),
        lambda i: bool(i.attributes.get("count_include_pad")) and _padded(i),
        "a ZeroPadding before an average without pads",
    ),
    "MaxPool 1D": Form(("MaxPool",), _rank(1), "a MaxPooling2D of height 1"),
    "MaxPool 3D": Form(("MaxPool",), _rank(3)),
    "AveragePool 1D": Form(("AveragePool",), _rank(1), "an AveragePooling2D of height 1"),
    "AveragePool 3D": Form(("AveragePool",), _rank(3)),
    "global pool 3D": Form(_GLOBAL, _rank(3), "a Mean or a Max over the axes"),
    "alpha of Celu": Form(
        ("Celu",), lambda i: i.attributes.get("alpha", 1.0) != 1.0, "an elu between two products"
    ),
    "PRelu by element": Form(("PRelu",), _by_element, "shared_axes: [1, 2]"),
    "whole powers beyond 2": Form(("Pow",), _whole_power, "products"),
    "powers of zero": Form(
        ("Pow",),
        lambda i: not i.above_zero(0) and any(n % 1 for n in i.number("exponent", 1)),
        "a Sqrt for 0.5, or a Max of 1e-37 before it",
    ),
    "a constant before Sub or Div": Form(
        ("Div", "Sub"), _left_constant, "a Neg or a Reciprocal, and the constant after it"
    ),
    "LogSoftmax without axis": Form(
        ("LogSoftmax",), lambda i: "axis" not in i.attributes, "the axis, said"
    ),
    "Softmax of several axes, before opset 13": Form(
        ("LogSoftmax", "Softmax"), _flattening, "opset 13, a Reshape before it and one after"
    ),
    "extremum of several axes": Form(
        ("ReduceMax", "ReduceMin"),
        lambda i: len(i.number("axes", 1)) > 1,
        "one axis after the other",
    ),
    "ReduceSum of one axis": Form(
        ("ReduceSum",), lambda i: len(i.number("axes", 1)) == 1, "a Mean times the size"
    ),
    "axes of ReduceL2 as an input": Form(("ReduceL2",), lambda i: i.has(1), "opset 17"),
    "stretched channels": Form(
        ("Add", "Div", "Max", "Min", "Mul", "Sub"),
        lambda i: _stretching(i)[:1] == [True] and not set(REDUCTIONS).intersection(i.sources),
        "a Conv with a kernel of ones before it",
    ),
    "an Add that stretches": Form(
        ("Add",), lambda i: any(_stretching(i)), "a Sub of its Neg, or a Resize before it"
    ),
    "a product that ends as another function": Form(
        ("Mul",), _ends_alike, "an Identity of the factor, or 0.5 erf + 0.5 for 0.5 (erf + 1)"
    ),
    "BatchNormalization of a function": Form(
        ("BatchNormalization",), lambda i: is_function(i.maker(0)), "an Identity before it"
    ),
    "training_mode of BatchNormalization": Form(
        ("BatchNormalization",),
        lambda i: bool(i.attributes.get("training_mode")),
        "a file that is exported for inference",
    ),
    "ReduceL2 of one element": Form(("ReduceL2",), _one_element, "an Abs"),
    "InstanceNormalization 1D": Form(
        ("InstanceNormalization",), _rank(1), "a value of two spatial axes, one of size 1"
    ),
    "LayerNormalization without bias": Form(
        ("LayerNormalization",), lambda i: not i.has(2), "center: true"
    ),
    "LayerNormalization of several axes": Form(
        ("LayerNormalization",),
        lambda i: (axis := i.attributes.get("axis", -1)) != -1 and axis != i.rank - 1,
        "its pieces",
    ),
    "Flatten of the batch": Form(
        ("Flatten",), lambda i: i.attributes.get("axis", 1) != 1, "axis 1, or a Reshape"
    ),
    "Transpose of the batch": Form(
        ("Transpose",), lambda i: list(i.attributes.get("perm", ()))[:1] != [0], "axes after it"
    ),
    "shape arithmetic": Form(
        ("Reshape",), lambda i: not i.number("shape", 1), "a shape that is known, 0 for the batch"
    ),
    "sizes of 0 beside the batch": Form(("Reshape",), _copied_sizes, "the sizes as numbers"),
    "negative pads": Form(("Pad",), lambda i: any(n < 0 for n in i.number("pads", 1)), "a Slice"),
    "reduction of everything": Form(REDUCTIONS, _all_axes, "one axis after the other"),
    "reduction of the batch": Form(REDUCTIONS, _of_batch, "axes after the batch"),
    "negative steps": Form(("Slice",), lambda i: any(s < 0 for s in _steps(i))),
    "steps": Form(("Slice",), lambda i: any(abs(s) > 1 for s in _steps(i)), "a MaxPooling of 1"),
    "Resize 1D": Form(("Resize",), _rank(1), "an UpSampling2D of height 1"),
    "Resize 3D": Form(("Resize",), _rank(3)),
    "linear Resize, asymmetric": Form(("Resize",), _asymmetric, "half_pixel or align_corners"),
    "linear Resize of one row or column": Form(
        ("Resize",), _one_line, "a Concatenate of it with itself"
    ),
    "cubic Resize": Form(
        ("Resize",), lambda i: i.text("mode", "nearest") == "cubic", "interpolation: bilinear"
    ),
    "Resize without mode": Form(("Resize",), lambda i: "mode" not in i.attributes, "it, said"),
    "linear Resize without coordinates": Form(
        ("Resize",),
        lambda i: _linear(i) and "coordinate_transformation_mode" not in i.attributes,
        "coordinate_transformation_mode: half_pixel, said",
    ),
    "rare modes of Resize": Form(
        ("Resize",), _rare_resize, "nearest: asymmetric and floor; linear: half_pixel"
    ),
    "Resize by other scales than the sizes'": Form(
        ("Resize",), _other_scale, "scales that are the sizes' ratios"
    ),
    "QDQ, unsigned or with a zero point": Form(
        ("DequantizeLinear", "QuantizeLinear"), _unsigned, "int8 with zero points of 0"
    ),
    "float16": Form(
        (),
        lambda i: i.op != "Cast" and any(v and v.dtype == "float16" for v in i.results),
        "--precision fp16",
    ),
}
"""By name; one without operators is of all."""

UNTRIED = frozenset({"reduction of the batch"})
"""The forms that no runtime was tried with."""

INSTEAD = {
    **dict.fromkeys(("Gelu", "Mish", "Swish", "ThresholdedRelu"), "its pieces"),
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


_MALFORMED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def forms_of(item: Item) -> list[str]:
    """The forms that a node has, by name, and those that it may have, for all that is known.

    Raises:
        ValueError: The node is none that ONNX's rules allow.
    """
    if not any(item.results):
        raise ValueError
    return [name for name, form in _of_operator(item.op) if _held(form, item)]


@lru_cache(1024)
def _of_operator(op: str) -> tuple[tuple[str, Form], ...]:
    return tuple(row for row in FORMS.items() if not row[1].ops or op in row[1].ops)


def _held(form: Form, item: Item) -> bool:
    try:
        return form.holds(item)
    except NotKnown:
        return True
    except _MALFORMED as error:
        raise ValueError from error
