"""Operations that move, take or put together parts of tensors."""

from __future__ import annotations

import itertools

from graphcnn.errors import ModelFileError
from graphcnn.options import shorten
from graphcnn.types import product

from .layers import permuted
from .steps import Given, Rule, Step, Value, tensor


def reshape(step: Step, given: Given) -> Value:
    """The first size is the batch, which a -1 stands for too."""
    value = step.last(tensor(given))
    shape = given.get("newshape")
    if not isinstance(shape, list) or not shape or shape[0] not in (-1, None):
        raise ModelFileError(f"expected a shape that begins with -1, found {shorten(shape)}")
    sizes = [-1 if size is None else size for size in shape[1:]]
    if any(isinstance(size, bool) or not isinstance(size, int) for size in sizes):
        raise ModelFileError(f"expected a shape of numbers, found {shorten(shape)}")
    elements = step.type(value).elements
    if shape[0] == -1 and -1 not in sizes and product(sizes) != elements:
        raise ModelFileError(
            f"puts samples of {elements} elements into {shorten(shape)}, so that a sample no "
            "longer is one row"
        )
    return step.finish("Reshape", {"target_shape": sizes}, value, first=False)


def transpose(step: Step, given: Given) -> Value:
    """Axes in another order; the batch stays the first."""
    axes = given.get("axes")
    if not isinstance(axes, list) or axes[:1] != [0]:
        raise ModelFileError(f"expected axes that begin with the batch, 0, found {shorten(axes)}")
    return permuted(step, tensor(given), axes[1:])


def expand(step: Step, given: Given) -> Value:
    """A new axis of size 1."""
    value = step.last(tensor(given))
    rank, axis = step.type(value).rank, given.get("axis")
    if not isinstance(axis, int) or not -rank <= axis <= rank or axis in (0, -rank - 1):
        raise ModelFileError(f"axis: expected 1 to {rank}, found {shorten(axis)}")
    sizes = step.known_sizes(value)
    sizes.insert((axis + rank if axis < 0 else axis - 1), 1)
    return step.finish("Reshape", {"target_shape": sizes}, value, first=False)


def squeeze(step: Step, given: Given) -> Value:
    """Axes of size 1 taken away."""
    value = step.last(tensor(given))
    sizes = step.known_sizes(value)
    axes = given.get("axis")
    if axes is None:
        raise ModelFileError("takes away the batch where it is 1", hint="give it an axis")
    axes = axes if isinstance(axes, list) else [axes]
    found = {step.axis(value, axis) % step.type(value).rank for axis in axes}
    if any(sizes[axis - 1] != 1 for axis in found):
        raise ModelFileError(f"takes away axes {axes} of {list(step.sizes(value))}, not all 1")
    left = [size for axis, size in enumerate(sizes, 1) if axis not in found]
    return step.finish("Reshape", {"target_shape": left}, value, first=False)


def concatenate(step: Step, given: Given) -> Value:
    """Tensors one after another along an axis."""
    values = given.get("xs")
    if not isinstance(values, list) or not all(isinstance(v, Value) for v in values):
        raise ModelFileError("expected a list of tensors")
    if len(values) == 1:
        return tensor({"x": values[0]})
    values = step.alike(values)
    axis = step.axis(values[0], given.get("axis", 0))
    return step.finish("Concatenate", {"axis": axis}, *values, first=values[0].first)


def split(step: Step, given: Given) -> list[Value]:
    """Parts of an axis, a node each."""
    value, sections = tensor(given), given.get("indices_or_sections")
    axis = step.axis(value, given.get("axis", 0))
    size = step.type(value).sizes[axis - 1 if axis > 0 else -1]
    if isinstance(sizes := given.get("sizes"), list):  # How large each part is, -1 the rest.
        rest = size - sum(part for part in sizes if part != -1)
        sections = [*itertools.accumulate(rest if part == -1 else part for part in sizes)][:-1]
    elif sizes is not None:
        sections = sizes
    if isinstance(sections, int) and isinstance(size, int) and sections and size % sections == 0:
        width = size // sections
        cuts = [width * index for index in range(1, sections)]
    elif isinstance(sections, list) and all(isinstance(cut, int) for cut in sections):
        cuts = sections
    else:
        raise ModelFileError(f"splits {size} into {shorten(sections)}, which does not go")
    if len(cuts) > _MOST_PARTS:
        raise ModelFileError(f"splits into more than {_MOST_PARTS} parts")
    ends = zip([None, *cuts], [*cuts, None], strict=True)
    parts = ({"axis": axis, "start": start, "stop": stop} for start, stop in ends)
    return [step.add(str(i), "Slice", fields, value) for i, fields in enumerate(parts)]


_MOST_PARTS = 10_000


def get_item(step: Step, given: Given) -> Value:
    """``x[:, 1:, ..., 0]``: slices, and then a Reshape for the axes that go or come."""
    value, key = tensor(given), given.get("key")
    key = key if isinstance(key, list) else [key]
    rank = step.type(value).rank
    missing = rank - sum(item is not None and item is not Ellipsis for item in key)
    if Ellipsis not in key:
        key = [*key, Ellipsis]
    at = key.index(Ellipsis)
    key = [*key[:at], *[slice(None)] * max(missing, 0), *key[at + 1 :]]
    if key[:1] != [slice(None)] or missing < 0:
        raise ModelFileError("takes a part of the batch", hint="x[:, ...] leaves the batch whole")
    if not all(isinstance(item, slice) for item in key):
        value = step.last(value)
    parts, axis, kept = [], 0, []
    for item in key[1:]:
        if item is None:
            kept.append(0)
            continue
        axis += 1
        if isinstance(item, slice):
            kept.append(axis)
            if item != slice(None):
                step_ = 1 if item.step is None else item.step
                parts.append((axis, {"start": item.start, "stop": item.stop, "step": step_}))
        elif isinstance(item, int) and not isinstance(item, bool):
            parts.append((axis, {"start": item, "stop": item + 1 or None}))
        else:
            raise ModelFileError(f"takes {shorten(item)}, which is not known before it runs")
    return _sliced(step, value, parts, kept)


def _sliced(step: Step, value: Value, parts: list[tuple[int, Given]], kept: list[int]) -> Value:
    """The slices of some axes, then the axes in `kept`, where 0 is a new one."""
    given, rank = value, step.type(value).rank
    same = kept == list(range(1, rank))
    for index, (axis, bounds) in enumerate(parts):
        fields = {"axis": step.axis(value, axis), **bounds}
        if same and index == len(parts) - 1:
            return step.finish("Slice", fields, value, first=value.first)
        value = step.add("part", "Slice", fields, value)
    if same:
        return given
    sizes = step.known_sizes(value)
    target = [sizes[axis - 1] if axis else 1 for axis in kept]
    return step.finish("Reshape", {"target_shape": target}, value, first=False)


def slice_(step: Step, given: Given) -> Value:
    """The part of each axis that begins at one number and has the size of another."""
    value, starts, shape = tensor(given), given.get("start_indices"), given.get("shape")
    rank = step.type(value).rank
    if not isinstance(starts, list) or not isinstance(shape, list) or len(starts) != rank:
        raise ModelFileError("begins at what is not known before it runs")
    key = [slice(None)]
    for start, size in zip(starts[1:], shape[1:], strict=True):
        if not isinstance(start, int) or not isinstance(size, int):
            raise ModelFileError("begins at what is not known before it runs")
        key.append(slice(start, None if size == -1 else start + size))
    return get_item(step, {"x": value, "key": key})


def spatial(kind: str, *options: str) -> Rule:
    """A layer's operator for images, channels where ``data_format`` says."""

    def rule(step: Step, given: Given) -> Value:
        value = tensor(given)
        is_first = given.get("data_format") == "channels_first"
        value = step.channels_last(value) if is_first else step.last(value)
        fields = {key: given[key] for key in options if given.get(key) is not None}
        if "size" in given:
            fields["height"], fields["width"] = given["size"]
        axes = len(step.type(value).spatial)
        return step.finish(kind.format(axes), fields, value, first=is_first)

    return rule


def pad(step: Step, given: Given) -> Value:
    """Zeros around the spatial axes."""
    value, widths = tensor(given), given.get("pad_width")
    rank = step.type(value).rank
    if isinstance(widths, list) and len(widths) == 1:
        widths = widths * rank
    is_first = isinstance(widths, list) and len(widths) == rank > 2 and widths[-1] != [0, 0]
    value = step.channels_last(value) if is_first else value
    if (
        given.get("mode", "constant") != "constant"
        or given.get("constant_values", 0)
        or not isinstance(widths, list)
        or len(widths) != rank
        or widths[0] != [0, 0]
        or widths[1 if value.first else -1] != [0, 0]
    ):
        raise ModelFileError("only supports zeros around the spatial axes")
    spatial = widths[2:] if value.first else widths[1:-1]
    kind = f"ZeroPadding{len(spatial)}D"
    fields = {"padding": spatial[0] if len(spatial) == 1 else spatial}
    return step.finish(kind, fields, value, first=value.first)
