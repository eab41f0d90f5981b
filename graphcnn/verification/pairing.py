"""Which inputs, outputs and layers of two models belong together: by name, else by order.

A file of another tool names its values in its own way, mostly by a path in which the layer's name
is a folder, such as ``StatefulPartitionedCall/tiny/conv1/Relu:0``. A layer belongs to the last such
value that has its sizes, unless it is an output, which is compared as that. TensorFlow numbers the
folders of a model that is traced again (``tiny_1/conv1_1/Relu:0``); of both readings the one is
taken that finds more layers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from graphcnn.errors import ErrorGroup, VerificationError
from graphcnn.runtime.signature import TensorSpec
from graphcnn.types import Layout

from .side import Side, Sizes, Value, arrangements, logical, merged, possible, sample_sizes

_PORT = re.compile(r":\d+$")


@dataclass(frozen=True, slots=True)
class InputPair:
    """An input of both models.

    Attributes:
        a: In A.
        b: In B.
        layouts: How A and B take it.
        sizes: Of one sample, channels last; None where both take any. Where one of them resizes
            images they are those of a camera, and the other is fed resized ones.
    """

    a: TensorSpec
    b: TensorSpec
    layouts: tuple[Layout, Layout]
    sizes: Sizes

    def resize(self, place: int) -> tuple[int, int] | None:
        """The height and width that A's images (0) or B's (1) are resized to; None: as they are."""
        spec, other = (self.a, self.b)[place], (self.b, self.a)[place]
        return None if _as_seen(spec, other) is spec else other.resized


@dataclass(frozen=True, slots=True)
class Pair:
    """A value of A and one of B.

    Attributes:
        a: In A.
        b: In B.
        certain: Both sides name it.
    """

    a: Value
    b: Value
    certain: bool = True

    def layouts(self, a: Sizes | None, b: Sizes | None) -> list[tuple[Layout, Layout]]:
        """The layouts in which values of these sizes have one shape, the likeliest first."""
        one, other = (
            possible(value, len(sizes or ()) + 1) for value, sizes in ((self.a, a), (self.b, b))
        )
        return list(arrangements(a, one, b, other))


def pair_inputs(a: Side, b: Side) -> list[InputPair]:
    """Pair the inputs of two models.

    Raises:
        VerificationError: They have different numbers of them, or sizes that do not fit.
    """
    first, second = ([spec.name for spec in side.inputs] for side in (a, b))
    order = _counterparts("inputs", a, b, first, second)
    pairs, problems = [], []
    for one, place in zip(a.inputs, order, strict=True):
        other = b.inputs[place]
        sizes = sample_sizes(_as_seen(one, other)), sample_sizes(_as_seen(other, one))
        found = arrangements(sizes[0], a.input_layouts(one), sizes[1], b.input_layouts(other))
        layouts = next(found, None)
        if layouts is None:
            problems.append(
                VerificationError(
                    f"input {one.name!r} of {a.model} is {_described(one)}, "
                    f"and {other.name!r} of {b.model} is {_described(other)}"
                )
            )
            continue
        common = merged(*(logical(s, layout) for s, layout in zip(sizes, layouts, strict=True)))
        pairs.append(InputPair(one, other, layouts, common))
    if problems:
        raise ErrorGroup(problems)
    return pairs


def _as_seen(spec: TensorSpec, other: TensorSpec) -> TensorSpec:
    """An input of the size of another that is resized to it, if it is: it will be fed likewise."""
    if other.resized is None or spec.resized is not None or len(spec.layout) != 4:
        return spec
    if (spec.size("H"), spec.size("W")) != other.resized:
        return spec
    sizes = zip(spec.layout, spec.shape, strict=True)
    return replace(spec, shape=tuple(other.size(a) if a in "HW" else n for a, n in sizes))


def pair_outputs(a: Side, b: Side) -> tuple[list[Pair], list[int]]:
    """Pair the outputs of two models.

    Returns:
        The pairs in A's order, and the place of each in B.

    Raises:
        VerificationError: They have different numbers of them.
    """
    first, second = ([value.name for value in side.outputs] for side in (a, b))
    order = _counterparts("outputs", a, b, first, second)
    pairs = [Pair(one, b.outputs[at]) for one, at in zip(a.outputs, order, strict=True)]
    return pairs, order


def pair_layers(a: Side, b: Side) -> list[Pair]:
    """Pair the layers that both models have, in A's order."""
    ours, theirs = a.layers(), b.layers()
    by_name = {value.name: value for value in theirs}
    pairs = {
        value.name: Pair(value, by_name[value.name]) for value in ours if value.name in by_name
    }
    if a.foreign != b.foreign:
        named, values = (theirs, ours) if a.foreign else (ours, theirs)
        known = {value.held for value in (b if a.foreign else a).outputs}
        left = [layer for layer in named if layer.name not in pairs and layer.held not in known]
        for layer, value in _found(left, values):
            one, other = (value, layer) if a.foreign else (layer, value)
            pairs.setdefault(one.name, Pair(one, other, certain=False))
    return [pairs[value.name] for value in ours if value.name in pairs]


def _found(layers: Sequence[Value], values: Sequence[Value]) -> list[tuple[Value, Value]]:
    """Each layer with the last value that has its name in its path, and its sizes."""
    by_part: dict[str, list[Value]] = {}
    for value in values:
        folders = _PORT.sub("", value.name).strip("/").split("/")[:-1]
        for start in range(len(folders)):
            for stop in range(start, len(folders)):
                by_part.setdefault("/".join(folders[start : stop + 1]), []).append(value)
    readings: list[list[tuple[Value, Value]]] = []
    for number in ("", "_1"):
        readings.append([])
        for layer in layers:
            part = "/".join(f"{folder}{number}" for folder in layer.name.split("/"))
            for value in reversed(by_part.get(part, [])):
                if value.sizes and Pair(layer, value).layouts(layer.sizes, value.sizes):
                    readings[-1].append((layer, value))
                    break
    return max(readings, key=len)


def _counterparts(
    kind: str, a: Side, b: Side, first: Sequence[str], second: Sequence[str]
) -> list[int]:
    """For each of A's names the place of B's: of the same if all are and none twice, else its own.

    Keras gives the results of a layer that is called twice one name.
    """
    if len(first) != len(second):
        raise VerificationError(
            f"{a.model} has {len(first)} {kind}, and {b.model} has {len(second)}",
            context=[("A", ", ".join(first)), ("B", ", ".join(second))],
        )
    if set(first) == set(second) and len(set(first)) == len(first):
        return [second.index(name) for name in first]
    return list(range(len(second)))


def _described(spec: TensorSpec) -> str:
    return f"{spec} ({spec.order})" if spec.order else str(spec)
