"""Forms that a runtime does not take, written in others that it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from graphcnn.types import FIRST, DType, is_symbolic

from .op import Lowering, known_channels

_END = 2**31 - 1

_DIFFERING = "uneven pads of MaxPool but after each axis alike"

_STEEP = 1e30
"""A difference of float32 numbers times this is 1 or more in magnitude, if it is 1e-30 or more."""

_FLAT = 20.0
"""The hyperbolic tangent is 1 from here on."""

_LEAST = 1.2e-38
"""The least float32 number that no runtime takes for zero, nearly."""

_SMALL_POWER = 0.2
"""Higher powers of `_LEAST` are below 3e-8."""

_PRODUCTS = ("Div", "Mul")

_FUSED = frozenset({"Elu", "HardSigmoid", "HardSwish", "Mul", "Sigmoid", "Tanh"})
"""The functions, of which Mul ends Swish and Mish, that OpenCV 5 joins with a convolution."""

_MOST_POSITIONS = 25
"""Of a kernel that moves values: one of 5x5 costs less than two that each read them all."""


def padded(ctx: Lowering, x: str, pads: Sequence[int], fill: float = 0.0) -> str:
    """Emit zeros around the spatial axes of the first input, which is channels first.

    Where no Pad is taken they are the pads of a convolution that changes no finite number. Its
    kernel is as wide as both pads and a position, and it is padded by their sum on either side: all
    runtimes take pads that are even, and narrower than the kernel. Where that kernel has many
    positions there is a convolution for each axis.

    Args:
        ctx: The lowering.
        x: The value.
        pads: All before, then all after.
        fill: What a Pad puts there.
    """
    axes = len(pads) // 2
    befores, afters = pads[:axes], pads[axes:]
    if ctx.takes("Pad") or not ctx.output.dtype.is_float:
        amounts = ctx.constant([0, 0, *befores, 0, 0, *afters], DType.int64)
        return ctx.emit("Pad", [x, amounts, ctx.constant(fill)], mode="constant")
    sides = list(zip(befores, afters, strict=True))
    if prod(before + after + 1 for before, after in sides) <= _MOST_POSITIONS:
        return _widened(ctx, x, sides)
    for axis, side in enumerate(sides):
        if any(side):
            x = _widened(ctx, x, [side if other == axis else (0, 0) for other in range(axes)])
    return x


def _widened(ctx: Lowering, x: str, sides: Sequence[tuple[int, int]]) -> str:
    """Emit zeros before and after each spatial axis, by a convolution."""
    import numpy as np

    channels, sums = known_channels(ctx.inputs[0]), [sum(side) for side in sides]
    shape = [n + 1 for n in sums]
    kernel = np.zeros((channels, prod(shape)))
    kernel[:, np.ravel_multi_index([after for _, after in sides], shape)] = 1
    return ctx.emit(
        "Conv",
        [x, ctx.constant(kernel.reshape(channels, 1, *shape))],
        kernel_shape=shape,
        strides=[1] * len(shape),
        pads=[*sums, *sums],
        group=channels,
    )


def convolution_input(ctx: Lowering, attributes: dict[str, Any]) -> str:
    """The input of a convolution, padded and thinned out where it cannot do so itself."""
    sizes, channels = ctx.inputs[0].spatial, known_channels(ctx.inputs[0])
    kernel, strides = attributes["kernel_shape"], attributes["strides"]
    thins = not ctx.takes("strides of a kernel of 1")
    thinned = [s if thins and k == 1 else 1 for k, s in zip(kernel, strides, strict=True)]
    attributes["strides"] = [s // left for s, left in zip(strides, thinned, strict=True)]
    x = _narrowed(ctx, attributes)
    product = is_scaled(ctx.maker(x)) and as_wide_as_padded_kernel(attributes, sizes)
    if product and not ctx.takes("pads around a product as wide as the kernel"):
        x = _passed(ctx, x, len(kernel))
    pads, depthwise = attributes["pads"], attributes.get("group", 1) == channels > 1
    forms = {
        "uneven pads in 1D": len(pads) == 2 and pads[0] != pads[1],
        "pads before a kernel of 1": any(pads) and set(kernel) == {1},
        "pads as wide as the kernel": pads_of_windows(attributes),
        "depthwise windows of 3 that overreach": depthwise and overreaching(attributes, sizes),
    }
    untaken = any(held and not ctx.takes(name) for name, held in forms.items())
    if untaken or (max(thinned) > 1 and any(pads)):
        attributes["pads"] = [0] * len(pads)
        x = padded(ctx, x, pads)
    return x if max(thinned) == 1 else _passed(ctx, x, len(kernel), thinned)


def _passed(ctx: Lowering, x: str, axes: int, strides: Sequence[int] = ()) -> str:
    """Emit a maximum over single positions: the value itself, or some of its positions."""
    ones, none = [1] * axes, [0] * 2 * axes
    strides = list(strides) or ones
    return ctx.emit("MaxPool", [x], kernel_shape=ones, strides=strides, pads=none)


def is_scaled(maker: tuple[str, bool]) -> bool:
    """Whether what makes a value, as `Lowering.maker` tells it, is a product with a constant."""
    op, has_constant = maker
    return op in _PRODUCTS and has_constant


def is_function(maker: tuple[str, bool]) -> bool:
    """Whether what makes a value is a function that OpenCV 5 joins with a convolution before it."""
    op, has_constant = maker
    return op in _FUSED and not has_constant


def as_wide_as_padded_kernel(attributes: Mapping[str, Any], sizes: Sequence[Any]) -> bool:
    """Whether an input is as wide as a kernel that is padded, along an axis of several positions.

    OpenVINO puts factors of positions, which such an input may be multiplied by, into the kernel.
    """
    rows = zip(sizes, attributes["kernel_shape"], strict=True)
    return any(attributes["pads"]) and any(n == k > 1 for n, k in rows)


def _narrowed(ctx: Lowering, attributes: dict[str, Any]) -> str:
    """The first input; one that strides bring to a single column is cut to its only window."""
    sizes = ctx.inputs[0].spatial
    if known_channels(ctx.inputs[0]) > 1 or any(map(is_symbolic, sizes)):
        return ctx.operands[0]
    if not to_one_column(attributes, sizes) or ctx.takes("strides of the width to one column"):
        return ctx.operands[0]
    x = _without_rest(ctx, attributes)
    attributes["strides"][-1] = 1
    return x


def _spans(attributes: Mapping[str, Any]) -> list[int]:
    """How many positions a window reaches over, by axis."""
    kernel = attributes["kernel_shape"]
    dilations = attributes.get("dilations", [1] * len(kernel))
    return [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]


def rests(attributes: Mapping[str, Any], sizes: Sequence[Any]) -> list[int | None]:
    """By axis, how far a window can be moved in the padded input; None where that is not known.

    Args:
        attributes: Of a convolution or a pool.
        sizes: The input's spatial axes.
    """
    pads, axes = attributes["pads"], len(sizes)
    rows = zip(sizes, pads[:axes], pads[axes:], _spans(attributes), strict=True)
    return [n + b + a - span if isinstance(n, int) else None for n, b, a, span in rows]


def pads_of_windows(attributes: Mapping[str, Any]) -> bool:
    """Whether windows of a convolution lie in its pads as a whole, where OpenVINO errs."""
    spans = _spans(attributes)
    return any(pad >= span for pad, span in zip(attributes["pads"], [*spans, *spans], strict=True))


def to_one_column(attributes: Mapping[str, Any], sizes: Sequence[Any]) -> bool:
    """Whether strides along the width alone leave one column of several, where OpenVINO errs.

    It does for one channel. Strides along the rows, or a dilated width, are right.

    Args:
        attributes: The convolution's.
        sizes: The input's spatial axes; of one that is not known any number of windows fit.
    """
    strides = attributes["strides"]
    narrowing = len(sizes) > 1 and strides[-2] == 1 < strides[-1]
    dilated = attributes.get("dilations", [1])[-1] > 1
    if not narrowing or dilated or attributes["kernel_shape"][-1] == 1:
        return False
    *_, rows, columns = rests(attributes, sizes)
    return rows != 0 and (columns is None or columns < strides[-1])


def overreaching(attributes: Mapping[str, Any], sizes: Sequence[Any]) -> bool:
    """Whether OpenCV 4.14 reads what is not the image's, for a depthwise kernel of 3x3.

    Its code for these takes it that of a window, beginning at most one position before the image,
    one row or column lies outside at the most.

    Args:
        attributes: The convolution's.
        sizes: The input's spatial axes; one that is not known is taken for a large one.
    """
    pads, dilations = attributes["pads"], attributes.get("dilations", [1, 1])
    if list(attributes["kernel_shape"]) != [3, 3] or max(pads[:2]) > 1:
        return False
    left = zip(rests(attributes, sizes), attributes["strides"], strict=True)
    unread = [0 if rest is None else rest % stride for rest, stride in left]
    rows = zip(sizes, pads[:2], pads[2:], unread, dilations, strict=True)
    return any(a - r > d or (b and (d > 1 or n == 1)) for n, b, a, r, d in rows)


def pooling_input(ctx: Lowering, attributes: dict[str, Any]) -> str:
    """The input of a maximum, and pads that are taken.

    Those that no window fills are left out. Where uneven ones are not taken at all the ends of the
    input are repeated: a window that reaches into the pads has the end in it.
    """
    (x,), pads, sizes = ctx.operands, attributes["pads"], ctx.inputs[0].spatial
    axes = len(sizes)
    befores, afters = pads[:axes], pads[axes:]
    form = "uneven pads of MaxPool that windows end before"
    forms = (form, _DIFFERING, "uneven pads in 1D")
    if befores == afters or any(map(is_symbolic, sizes)) or all(map(ctx.takes, forms)):
        return x
    x = _without_rest(ctx, attributes)
    sides = list(zip(befores, attributes["pads"][axes:], strict=True))
    uneven = any(before != after for before, after in sides)
    taken = ctx.takes(_DIFFERING) or (not any(befores) and len(set(sides)) == 1)
    if not uneven or (taken and (axes > 1 or ctx.takes("uneven pads in 1D"))):
        return x
    attributes["pads"] = [0] * 2 * axes
    for axis, (before, after) in enumerate(sides, start=2):
        x = _repeated(ctx, x, axis, before, after) if before or after else x
    return x


def _without_rest(ctx: Lowering, attributes: dict[str, Any]) -> str:
    """The first input without the ends that no window fills, and the pads without theirs."""
    (x,), pads, sizes = ctx.operands, attributes["pads"], ctx.inputs[0].spatial
    befores, afters = pads[: len(sizes)], pads[len(sizes) :]
    rows = zip(afters, rests(attributes, sizes), attributes["strides"], strict=True)
    left = [after - (rest or 0) % stride for after, rest, stride in rows]
    attributes["pads"] = [*befores, *(max(a, 0) for a in left)]
    ends = [max(-a, 0) for a in left]
    return cropped(ctx, x, ends) if any(ends) else x


def _repeated(ctx: Lowering, x: str, axis: int, before: int, after: int) -> str:
    """Emit a value with the first and the last along an axis repeated."""
    parts = [x]
    if before:
        first = _sliced(ctx, x, [0], [1], [axis])
        parts = [*[first] * before, *parts]
    if after:
        last = _sliced(ctx, x, [-1], [_END], [axis])
        parts = [*parts, *[last] * after]
    return ctx.emit("Concat", parts, axis=axis)


def _sliced(ctx: Lowering, x: str, *bounds: list[int]) -> str:
    return ctx.emit("Slice", [x, *(ctx.constant(values, DType.int64) for values in bounds)])


def selected(ctx: Lowering, x: str, axis: int, places: Any) -> str:
    """Emit the positions of an axis, the last or the last but one, of a value of known sizes."""
    import numpy as np

    if ctx.takes("Gather"):
        return ctx.emit("Gather", [x, ctx.constant(places, DType.int64)], axis=axis)
    from_left = axis < ctx.inputs[0].rank - 1
    size = ctx.layouts[0].sizes(ctx.inputs[0])[axis - 1]
    chosen = np.eye(int(str(size)))[np.asarray(places, int)]
    if from_left:
        shared = ctx.takes("constants twice from the left")
        return ctx.emit("MatMul", [ctx.constant(chosen, shared=shared), x])
    return ctx.emit("MatMul", [x, ctx.constant(chosen.T)])


def cropped(ctx: Lowering, x: str, ends: list[int], starts: list[int] | None = None) -> str:
    """Emit a Slice that leaves out the ends, and starts, of the spatial axes, which come last."""
    axes = list(range(2, 2 + len(ends)))
    starts, stops = starts or [0] * len(axes), [-end if end else _END for end in ends]
    return _sliced(ctx, x, starts, stops, axes)


def power(ctx: Lowering, x: str, exponent: float) -> str:
    """Emit a power; a whole one as products where runtimes lose the sign of the base.

    Where they have none of zero, it is of the least number instead, if that makes no difference.
    """
    if exponent < 0 and not ctx.takes("powers of zero"):
        return ctx.emit("Reciprocal", [power(ctx, x, -exponent)])
    if exponent in (3.0, 4.0, 5.0, 6.0) and not ctx.takes("whole powers beyond 2"):
        return _whole_power(ctx, x, int(exponent))
    of_zero = ctx.takes("powers of zero") or ctx.output.dtype != DType.float32
    if exponent == 0.5 and not of_zero:
        return ctx.emit("Sqrt", [x])
    if exponent % 1 and exponent > _SMALL_POWER and not of_zero:
        x = ctx.emit("Max", [x, ctx.constant(_LEAST)])
    return ctx.emit("Pow", [x, ctx.constant(exponent)])


def _whole_power(ctx: Lowering, x: str, exponent: int) -> str:
    """Emit a power of two or more as products."""
    square = ctx.emit("Mul", [x, x])
    result = square
    for _ in range(exponent // 2 - 1):
        result = ctx.emit("Mul", [result, square])
    return ctx.emit("Mul", [result, x]) if exponent % 2 else result


def thresholded(ctx: Lowering, x: str, threshold: float) -> str:
    """Emit x where it is above the threshold, and 0 elsewhere, of numbers that are finite."""
    if ctx.takes("ThresholdedRelu") or ctx.output.dtype != DType.float32:
        return ctx.emit("ThresholdedRelu", [x], alpha=threshold)
    above = ctx.emit("Sub", [x, ctx.constant(threshold)])
    steep = ctx.emit("Mul", [above, ctx.constant(_STEEP)])
    step = ctx.emit("Clip", [steep, ctx.constant(0.0), ctx.constant(1.0)])
    return ctx.emit("Mul", [x, step])


def tanh(ctx: Lowering, x: str) -> str:
    """Emit the hyperbolic tangent, between bounds where numbers beyond them would give none."""
    if not ctx.prefers("Tanh"):
        x = ctx.emit("Clip", [x, ctx.constant(-_FLAT), ctx.constant(_FLAT)])
    return ctx.emit("Tanh", [x])


def softsign(ctx: Lowering, x: str) -> str:
    """Emit ``x / (1 + abs(x))``."""
    if ctx.takes("Softsign"):
        return ctx.emit("Softsign", [x])
    # The other way round pnnx makes a Softsign of it again, which ncnn has not.
    return ctx.emit("Div", [x, ctx.emit("Add", [ctx.constant(1.0), ctx.emit("Abs", [x])])])


def with_channels(ctx: Lowering, index: int) -> str:
    """An input with as many channels as the result, which one of a single channel is repeated for.

    OpenCV 5 keeps the channels of convolutions and pools in blocks, and does not stretch these.
    """
    import numpy as np

    x, axes = ctx.operands[index], len(ctx.output.spatial)
    if axes < 2 or ctx.layouts[index] != FIRST or ctx.takes("stretched channels"):
        return x
    channels = ctx.output.channels
    if is_symbolic(channels) or ctx.inputs[index].channels == channels:
        return x
    ones = ctx.constant(np.ones((int(str(channels)), *[1] * (axes + 1))))
    return ctx.emit("Conv", [x, ones], kernel_shape=[1] * axes)


def parametric(ctx: Lowering, x: str, alpha: str) -> str:
    """Emit ``max(x, 0) - alpha * max(-x, 0)``, which a PRelu is."""
    below = ctx.emit("Relu", [ctx.emit("Neg", [x])])
    return ctx.emit("Sub", [ctx.emit("Relu", [x]), ctx.emit("Mul", [below, alpha])])
