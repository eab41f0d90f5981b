"""Hypothesis strategies for operators with inputs that fit them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from graphcnn import ops
from graphcnn.ops import Op
from graphcnn.ops.activations import FUNCTIONS

from .samples.activation import PARTIAL

Draw = Callable[[st.SearchStrategy[Any]], Any]


@dataclass(frozen=True)
class Drawn:
    """An operator, and the sizes of a sample of each of its inputs."""

    op: Op
    inputs: tuple[tuple[int, ...], ...]


small = st.integers(1, 4)
rates = st.floats(0.0625, 2.0, width=32)


def vectors(rank: int, entries: st.SearchStrategy[Any] = small) -> st.SearchStrategy[Any]:
    """One entry for each axis."""
    return st.tuples(*[entries] * rank)


def shapes(least: int = 1, most: int = 4) -> st.SearchStrategy[Any]:
    """The sizes of a sample of up to three spatial axes."""
    return st.integers(least, most).flatmap(lambda rank: vectors(rank, st.integers(1, 5)))


def kind(stem: str, rank: int) -> Any:
    """The operator of this many spatial axes."""
    return getattr(ops, f"{stem}{rank}D")


@st.composite
def functions(draw: Draw) -> Any:
    """Any activation by name, or one with options."""
    slope, bound = st.floats(0, 0.75, width=32), st.floats(0.5, 4, width=32)
    relu = st.fixed_dictionaries(
        {}, optional={"max_value": bound, "negative_slope": slope, "threshold": slope}
    )
    choices = st.one_of(
        st.sampled_from(sorted(FUNCTIONS.keys() - PARTIAL)),
        st.fixed_dictionaries({"relu": relu}),
        st.fixed_dictionaries({"leaky_relu": st.fixed_dictionaries({"negative_slope": slope})}),
        st.fixed_dictionaries({"elu": st.fixed_dictionaries({"alpha": rates})}),
        st.fixed_dictionaries({"celu": st.fixed_dictionaries({"alpha": rates})}),
        st.fixed_dictionaries({"gelu": st.fixed_dictionaries({"approximate": st.booleans()})}),
    )
    return draw(choices)


@st.composite
def windows(draw: Draw, rank: int, alike: bool = False) -> dict[str, Any]:
    """A kernel, strides or dilation, and padding; `alike`: with the same stride on every axis.

    Over volumes strides are at most the window: where windows leave gaps, with `same`, TensorFlow's
    own kernels for volumes shift them by a negative pad, and all its others do not.
    """
    one_for_all = small.map(lambda n: (n,) * rank)
    strides = draw(one_for_all if alike else vectors(rank))
    dilations = (1,) * rank
    if max(strides) == 1 or draw(st.booleans()):
        strides, dilations = (1,) * rank, draw(vectors(rank, st.integers(1, 3)))
    names = ["valid", "same", "numbers"]
    padding = draw(st.sampled_from(names))
    if padding == "numbers":
        padding = draw(vectors(rank, st.tuples(st.integers(0, 2), st.integers(0, 2))))
    kernel = draw(vectors(rank))
    if rank == 3:
        strides = tuple(map(min, strides, kernel))
    return {
        "kernel_size": kernel,
        "strides": strides,
        "dilation_rate": dilations,
        "padding": padding,
    }


@st.composite
def extents(draw: Draw, spans: tuple[int, ...], padding: Any) -> tuple[int, ...]:
    """Spatial sizes over which windows of these spans fit."""
    if padding in ("same", "causal"):
        return draw(vectors(len(spans), st.integers(1, 9)))
    pads = [(0, 0)] * len(spans) if padding == "valid" else padding
    return tuple(
        max(1, span - sum(pad)) + draw(st.integers(0, 5))
        for span, pad in zip(spans, pads, strict=True)
    )


def _spans(window: dict[str, Any]) -> tuple[int, ...]:
    pairs = zip(window["kernel_size"], window["dilation_rate"], strict=True)
    return tuple(d * (k - 1) + 1 for k, d in pairs)


@st.composite
def convolutions(draw: Draw, rank: int) -> Drawn:
    """Conv1D, Conv2D or Conv3D."""
    window = draw(windows(rank))
    if rank == 1 and draw(st.integers(0, 4)) == 0:
        window["padding"] = "causal"
    groups = draw(st.sampled_from([1, 1, 1, 1, 1, 1, 2, 3]))
    op = kind("Conv", rank)(
        **window,
        groups=groups,
        filters=groups * draw(small),
        use_bias=draw(st.booleans()),
        activation=draw(st.none() | functions()),
    )
    sizes = draw(extents(_spans(window), window["padding"]))
    return Drawn(op, ((*sizes, groups * draw(st.integers(1, 3))),))


@st.composite
def by_channel(draw: Draw) -> Drawn:
    """A depthwise or separable convolution; TensorFlow's have the same stride on every axis."""
    rank = draw(st.integers(1, 2))
    window = draw(windows(rank, alike=True))
    options: dict[str, Any] = {
        "depth_multiplier": draw(st.integers(1, 3)),
        "use_bias": draw(st.booleans()),
        "activation": draw(st.none() | functions()),
    }
    stem = draw(st.sampled_from(["DepthwiseConv", "SeparableConv"]))
    if stem == "SeparableConv":
        options["filters"] = draw(small)
    sizes = draw(extents(_spans(window), window["padding"]))
    return Drawn(kind(stem, rank)(**window, **options), ((*sizes, draw(small)),))


@st.composite
def transposed(draw: Draw, rank: int) -> Drawn:
    """A transposed convolution that TensorFlow can run.

    With `same`, an even kernel and an output padding of 0, Keras asks TensorFlow for a size that
    it refuses.
    """
    kernel, strides = draw(vectors(rank)), draw(vectors(rank))
    dilations = (1,) * rank
    if max(strides) == 1 or draw(st.integers(0, 3)) == 0:
        strides, dilations = (1,) * rank, draw(vectors(rank, st.integers(1, 2)))
    padding = draw(st.sampled_from(["valid", "same"]))
    spans = _spans({"kernel_size": kernel, "dilation_rate": dilations})
    least = [int(padding == "same" and span % 2 == 0) for span in spans]
    extra = None
    if all(low < s for low, s in zip(least, strides, strict=True)) and draw(st.booleans()):
        extra = tuple(draw(st.integers(low, s - 1)) for low, s in zip(least, strides, strict=True))
    op = getattr(ops, f"Conv{rank}DTranspose")(
        filters=draw(small),
        kernel_size=kernel,
        strides=strides,
        dilation_rate=dilations,
        padding=padding,
        output_padding=extra,
        use_bias=draw(st.booleans()),
    )
    return Drawn(op, ((*draw(vectors(rank)), draw(st.integers(1, 3))),))


@st.composite
def pools(draw: Draw, rank: int) -> Drawn:
    """Pooling over windows, for volumes with strides as in `windows`, or over everything."""
    stem = draw(st.sampled_from(["MaxPooling", "AveragePooling"]))
    channels = draw(st.integers(1, 3))
    if draw(st.integers(0, 5)) == 0:
        op = kind(f"Global{stem}", rank)(keepdims=draw(st.booleans()))
        return Drawn(op, ((*draw(vectors(rank)), channels),))
    pool = draw(vectors(rank))
    padding = draw(st.sampled_from(["valid", "same", "numbers"]))
    if padding == "numbers":
        sides = [st.integers(0, min(2, size - 1)) for size in pool]
        padding = draw(st.tuples(*[st.tuples(side, side) for side in sides]))
    strides = draw(st.none() | vectors(rank))
    if rank == 3 and strides:
        strides = tuple(map(min, strides, pool))
    options: dict[str, Any] = {"pool_size": pool, "strides": strides, "padding": padding}
    if stem == "AveragePooling":
        options["count_include_pad"] = draw(st.booleans())
    op = kind(stem, rank)(**options)
    return Drawn(op, ((*draw(extents(pool, padding)), channels),))


def some_axes(count: int) -> st.SearchStrategy[Any]:
    """One or several of this many axes, counted from either end."""
    axes = st.lists(st.integers(1, count), min_size=1, max_size=count, unique=True)
    turned = st.tuples(axes, st.booleans())
    return turned.map(lambda drawn: [a - count - 1 if drawn[1] else a for a in drawn[0]])


@st.composite
def normalizations(draw: Draw) -> Drawn:
    """Batch, layer and local response normalization, and preprocessing."""
    sizes = draw(shapes())
    epsilon = draw(st.sampled_from([1e-3, 1e-5, 0.1]))
    # Keras computes x / s - m / s, in which the rounding of x counts 1 / sqrt(epsilon) times
    # where a vector hardly varies, and all of it where it has one element.
    steady = draw(st.sampled_from([0.1, 0.02]))
    parts = {"center": draw(st.booleans()), "scale": draw(st.booleans()), "epsilon": epsilon}
    axes = tuple(range(-draw(st.integers(1, len(sizes))), 0))
    each = st.floats(0.125, 2, width=32)
    numbers = draw(each | vectors(sizes[-1], each))
    choices = [
        ops.BatchNormalization(**parts),
        ops.Rescaling(scale=numbers, offset=draw(each | vectors(sizes[-1], each))),
        ops.Normalization(axis=draw(st.sampled_from([-1, None])), invert=draw(st.booleans())),
        ops.Normalization(mean=numbers, variance=numbers, invert=draw(st.booleans())),
    ]
    choices.append(ops.LayerScale(init_values=1.0, projection_dim=sizes[-1]))
    choices.append(ops.RMSNormalization(axis=axes, epsilon=epsilon))
    choices.append(ops.UnitNormalization(axis=draw(some_axes(len(sizes)))))
    if math.prod(sizes[axes[0] :]) > 1:
        choices.append(ops.LayerNormalization(axis=axes, **(parts | {"epsilon": steady})))
    groups = draw(st.sampled_from([n for n in range(1, sizes[-1] + 1) if sizes[-1] % n == 0]))
    if math.prod(sizes) > groups:
        choices.append(ops.GroupNormalization(groups=groups, **(parts | {"epsilon": steady})))
    if len(sizes) == 3:
        options = {"bias": draw(each), "alpha": draw(each), "beta": draw(each)}
        radius = draw(st.integers(1, 4))
        choices.append(ops.LocalResponseNormalization(depth_radius=radius, **options))
    return Drawn(draw(st.sampled_from(choices)), (sizes,))


@st.composite
def activations(draw: Draw) -> Drawn:
    """Activations as layers, with axes where they have them, and dense layers with one."""
    sizes = draw(shapes())
    axis = draw(st.integers(1, len(sizes)) | st.integers(-len(sizes), -1))
    shared = st.lists(st.integers(1, len(sizes)), max_size=len(sizes), unique=True)
    choices = [
        ops.Activation(activation=draw(functions())),
        ops.Dense(units=draw(small), activation=draw(st.none() | functions())),
        ops.Softmax(axis=axis),
        ops.Activation(activation={"log_softmax": {"axis": axis}}),
        ops.PReLU(shared_axes=draw(st.none() | shared)),
        ops.Power(exponent=draw(st.sampled_from([1.0, 2.0, 3.0]))),
        ops.Clip(min_value=draw(st.none() | st.floats(-1, 0, width=32)), max_value=0.5),
        ops.Clip(min_value=-draw(rates)),
    ]
    return Drawn(draw(st.sampled_from(choices)), (sizes,))


@st.composite
def moves(draw: Draw) -> Drawn:
    """Padding, cropping, resizing, slices, reshapes, permutations and reductions."""
    sizes = draw(shapes())
    rank = len(sizes) - 1
    order = draw(st.permutations(range(1, rank + 2)))
    choices: list[Op] = [ops.Flatten(), ops.Permute(dims=tuple(order))]
    choices.append(ops.Reshape(target_shape=tuple(draw(st.permutations(sizes)))))
    reduction = draw(st.sampled_from([ops.Mean, ops.Sum, ops.Max, ops.Min]))
    axes = draw(st.none() | some_axes(len(sizes)))
    choices.append(reduction(axis=axes, keepdims=draw(st.booleans())))
    axis, end = draw(st.integers(1, len(sizes))), st.none() | st.integers(-6, 6)
    bounds = draw(end), draw(end), draw(st.sampled_from([1, 1, 2, -1, -2]))
    if range(sizes[axis - 1])[slice(*bounds)]:
        start, stop, step = bounds
        choices.append(ops.Slice(axis=axis, start=start, stop=stop, step=step))
    if rank:
        margins = draw(vectors(rank, st.tuples(st.integers(0, 2), st.integers(0, 2))))
        crops = tuple((draw(st.integers(0, n // 2)), (n - 1) // 2) for n in sizes[:-1])
        choices.append(ops.Reshape(target_shape=(-1, sizes[-1])))
        choices.append(kind("ZeroPadding", rank)(padding=margins))
        choices.append(kind("UpSampling", rank)(size=draw(vectors(rank))))
        if all(sum(crop) < n for n, crop in zip(sizes, crops, strict=False)):
            choices.append(kind("Cropping", rank)(cropping=crops))
    if rank == 0:
        choices.append(ops.RepeatVector(n=draw(small)))
    if rank == 2:
        height, width = (draw(st.integers(1, n)) for n in sizes[:-1])
        choices.append(ops.CenterCrop(height=height, width=width))
        way = draw(st.sampled_from(["nearest", "bilinear"]))
        height, width = draw(vectors(2, st.integers(1, 40)))
        choices.append(ops.Resizing(height=height, width=width, interpolation=way))
        options = {"size": draw(vectors(2)), "interpolation": "bilinear"}
        choices.append(ops.UpSampling2D(**options))
    return Drawn(draw(st.sampled_from(choices)), (sizes,))


@st.composite
def merges(draw: Draw) -> Drawn:
    """Arithmetic on sizes that stretch, sums of products, and concatenation along any axis."""
    sizes = draw(shapes())
    if len(sizes) <= 2 and draw(st.booleans()):
        axes = draw(st.integers(1, len(sizes))), draw(st.integers(1, len(sizes)))
        other = [draw(small) for _ in sizes]
        other[axes[1] - 1] = sizes[axes[0] - 1]
        return Drawn(ops.Dot(axes=axes, normalize=draw(st.booleans())), (sizes, tuple(other)))
    count = draw(st.integers(2, 4))
    if draw(st.booleans()):
        axis = draw(st.integers(1, len(sizes)))
        inputs = [(*sizes[: axis - 1], draw(small), *sizes[axis:]) for _ in range(count)]
        return Drawn(ops.Concatenate(axis=axis), tuple(inputs))
    stretched = [tuple(draw(st.sampled_from([n, n, 1])) for n in sizes) for _ in range(count)]
    op = draw(st.sampled_from([ops.Add, ops.Multiply, ops.Average, ops.Maximum, ops.Minimum]))
    if count == 2 and draw(st.booleans()):
        op = ops.Subtract
    return Drawn(op(), tuple(stretched))
