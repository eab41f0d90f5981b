"""What an .onnx file says of its inputs and outputs: names, shapes, element types and layouts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from graphcnn import metadata as keys
from graphcnn.errors import RuntimeFailure

Array = np.ndarray[Any, Any]

_OTHER_LAYOUT = {"NCL": "NLC", "NCHW": "NHWC", "NCDHW": "NDHWC"}
_OTHER_LAYOUT |= {last: first for first, last in _OTHER_LAYOUT.items()}

_DTYPES = {
    "float": "float32",
    "double": "float64",
    "float16": "float16",
    "bool": "bool",
    **{name: name for name in ("int8", "int16", "int32", "int64")},
    **{name: name for name in ("uint8", "uint16", "uint32", "uint64")},
}

NUMBERS = frozenset(_DTYPES.values())
"""The element types of tensors of numbers."""

ANY = "?"
"""A size of any number that the file does not name."""

_IMAGE_CHANNELS = (1, 3, 4)


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output, printed ``float32[N, 1, 28, 28]``.

    Attributes:
        name: Its name in the file.
        shape: Its sizes, the batch first; a size of any number is a name, or
            `ANY`.
        dtype: Its element type.
        layout: Its axes in order, such as ``NCHW``; empty where there are no spatial axes, or
            where the file does not say and it cannot be told.
        colors: ``RGB`` or ``BGR``, the order of three channels, where the file states it.
        resized: The height and width that the file resizes it to, where it says so.
    """

    name: str
    shape: tuple[int | str, ...]
    dtype: np.dtype[Any]
    layout: str = ""
    colors: Literal["", "RGB", "BGR"] = ""
    resized: tuple[int, int] | None = None

    @property
    def sizes(self) -> str:
        """The shape in words, such as ``[N, 1, 28, 28]``."""
        return f"[{', '.join(str(size) for size in self.shape)}]"

    @property
    def order(self) -> str:
        """``channels first``, ``channels last``, or nothing where there is no layout."""
        if not self.layout:
            return ""
        return "channels first" if self.layout[1] == "C" else "channels last"

    @property
    def channel_axis(self) -> int:
        """Where the channels lie; the second axis where there is no layout."""
        return self.layout.find("C") if self.layout else 1

    def size(self, letter: str) -> int | str:
        """The size of an axis of the layout, such as ``H``."""
        return self.shape[self.layout.index(letter)]

    def accepts(self, shape: Sequence[int]) -> bool:
        """Whether an array of this shape fits."""
        return len(shape) == len(self.shape) and all(
            size == found
            for size, found in zip(self.shape, shape, strict=True)
            if isinstance(size, int)
        )

    def swapped(self) -> TensorSpec | None:
        """The same tensor in the other layout, if it has a layout."""
        if not self.layout:
            return None
        layout = _OTHER_LAYOUT[self.layout]
        return replace(self, shape=tuple(self.size(axis) for axis in layout), layout=layout)

    def __str__(self) -> str:
        return f"{self.dtype.name}{self.sizes}"


@dataclass(frozen=True, slots=True)
class Signature:
    """What a model takes and gives.

    Attributes:
        inputs: Its inputs, in the order of the file.
        outputs: Its outputs, in the order of the file.
        classes: The names of the classes it tells apart, if the file has them.
        tops: By the output of the best classes, int64[N, k], that of their scores.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    classes: tuple[str, ...] = ()
    tops: Mapping[str, str] = field(default_factory=dict)


def read_signature(session: Any) -> Signature:
    """What the model of an onnxruntime session takes and gives.

    Layouts, the order of colours, the outputs of the best classes and class names come from the
    metadata that graphcnn writes; what there is false of the file is passed over. A file without
    layouts is taken to be channels first, unless only its last axis has the size of an image's
    channels.

    Raises:
        RuntimeFailure: An input or an output is not a tensor of numbers.
    """
    metadata = session.get_modelmeta().custom_metadata_map
    inputs, outputs = (
        _decoded(metadata.get(key)) for key in (keys.INPUT_LAYOUTS, keys.OUTPUT_LAYOUTS)
    )
    return stated(
        [_spec("input", item, inputs) for item in session.get_inputs()],
        [_spec("output", item, outputs) for item in session.get_outputs()],
        metadata,
    )


def stated(
    inputs: Iterable[TensorSpec], outputs: Sequence[TensorSpec], metadata: Mapping[str, str]
) -> Signature:
    """A signature with what the metadata of the file say of it, where that can be.

    Of several outputs of classes that have the same scores the first is taken.
    """
    colors, tops, resized = (
        _named(metadata.get(key, ""))
        for key in (keys.INPUT_COLORS, keys.TOP_CLASSES, keys.INPUT_RESIZED)
    )
    classes = _decoded(metadata.get(keys.CLASSES))
    return Signature(
        tuple(_camera(spec, colors.get(spec.name), resized.get(spec.name)) for spec in inputs),
        tuple(outputs),
        tuple(str(name) for name in classes) if isinstance(classes, list) else (),
        _tops(outputs, tops),
    )


def _named(text: str) -> dict[str, Any]:
    """A mapping by name that somebody else may have written: empty where it is none."""
    found = _decoded(text)
    return found if isinstance(found, dict) else {}


def _camera(spec: TensorSpec, colors: Any, resized: Any) -> TensorSpec:
    """An input that is an image with what the metadata say of it, where that can be."""
    if spec.layout not in ("NCHW", "NHWC") or len(spec.shape) != 4:
        return spec
    if colors in ("RGB", "BGR") and spec.size("C") == 3:
        spec = replace(spec, colors=colors)
    sizes = resized if isinstance(resized, list) and len(resized) == 2 else []
    if not sizes or not all(type(size) is int and 0 < size < 2**31 for size in sizes):
        return spec
    return replace(spec, resized=(sizes[0], sizes[1]))


def _tops(outputs: Sequence[TensorSpec], stated: Mapping[str, Any]) -> dict[str, str]:
    """The outputs of the best classes and of their scores, of those that can be."""
    by_name = {spec.name: spec for spec in outputs}
    found: dict[str, str] = {}
    for classes, scores in stated.items():
        one, other = by_name.get(classes), by_name.get(scores) if isinstance(scores, str) else None
        if one and other and _is_top(one, other):
            found.setdefault(other.name, one.name)
    return {classes: scores for scores, classes in found.items()}


def _is_top(classes: TensorSpec, scores: TensorSpec) -> bool:
    """Whether two outputs can be the best classes and their scores."""
    return (
        classes.dtype == np.int64
        and scores.dtype.kind == "f"
        and len(classes.shape) == 2
        and classes.shape[1:] == scores.shape[1:]
    )


def _decoded(text: str | None) -> Any:
    """JSON that somebody else may have written: None where it is not JSON."""
    try:
        return json.loads(text or "null")
    except (ValueError, RecursionError):
        return None


def _spec(kind: str, item: Any, layouts: Any) -> TensorSpec:
    element = item.type.removeprefix("tensor(").removesuffix(")")
    if element not in _DTYPES:
        raise RuntimeFailure(
            f"{kind} {item.name!r} is a {item.type}", hint="only tensors of numbers can be run"
        )
    shape = tuple(_size(size) for size in item.shape)
    stated = layouts.get(item.name) if isinstance(layouts, dict) else None
    return TensorSpec(item.name, shape, np.dtype(_DTYPES[element]), layout_of(stated, shape))


def _size(size: Any) -> int | str:
    if isinstance(size, int) and size >= 0:
        return size
    return size if isinstance(size, str) else ANY


def layout_of(stated: Any, shape: Sequence[int | str]) -> str:
    """The layout of a tensor: what the file states, if that can be; else of an image's tensor.

    An image's channels are first, unless the last axis alone has as many as images have.
    """
    if isinstance(stated, str) and stated in _OTHER_LAYOUT and len(stated) == len(shape):
        return stated
    if len(shape) != 4:
        return ""
    return "NHWC" if shape[3] in _IMAGE_CHANNELS and shape[1] not in _IMAGE_CHANNELS else "NCHW"
