"""Tensors and attributes of an .onnx file in words: types, shapes and sizes."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from graphcnn.errors import ModelFileError
from graphcnn.options import shorten

if TYPE_CHECKING:
    import onnx

OPEN = "?"
"""A size of any number that the file does not name."""

_MOST_LISTED = 32
"""Of an attribute of more numbers or letters than this the digest is given."""

_DTYPES = {"float": "float32", "double": "float64", "undefined": ""}


@dataclass(frozen=True, slots=True)
class OnnxValue:
    """A tensor of the file, printed ``float32[N, 3, 8, 8]``.

    Attributes:
        name: Its name in the file.
        dtype: Its element type; empty where it is not known.
        shape: Its sizes, the batch first, an open one by its name or as ``?``; None where not even
            their number is known.
        layout: Its axes in order, such as ``NCHW``, where the file says so.
    """

    name: str
    dtype: str = ""
    shape: tuple[int | str, ...] | None = None
    layout: str = ""

    @property
    def elements(self) -> int | None:
        """How many elements it has; None where a size is open."""
        sizes = [size for size in self.shape or () if isinstance(size, int)]
        return None if self.shape is None or len(sizes) < len(self.shape) else math.prod(sizes)

    @property
    def bytes(self) -> int | None:
        """Its bytes; None where a size or the type is not known."""
        if self.elements is None or not self.dtype:
            return None
        bits = re.search(r"\d+", self.dtype)
        return (self.elements * int(bits[0] if bits else 8) + 7) // 8

    def of_one_sample(self, batch: int | str) -> OnnxValue:
        """The part of one sample, where the first size is open or the batch."""
        if not self.shape or (isinstance(self.shape[0], int) and self.shape[0] != batch):
            return self
        return OnnxValue(self.name, self.dtype, (1, *self.shape[1:]), self.layout)

    def __str__(self) -> str:
        sizes = "..." if self.shape is None else ", ".join(map(str, self.shape))
        return f"{self.dtype or '?'}[{sizes}]"


def constants(model: onnx.ModelProto) -> Iterator[OnnxValue]:
    """The model's weights and other constants, those that Constant nodes make among them.

    Raises:
        ModelFileError: One has a negative size.
    """
    graph = model.graph
    for tensor in graph.initializer:
        yield _constant(tensor.name, tensor.data_type, tensor.dims)
    for sparse in graph.sparse_initializer:
        yield _constant(sparse.values.name, sparse.values.data_type, sparse.dims)
    for node in graph.node:
        tensors = [item.t for item in node.attribute if item.name == "value" and item.HasField("t")]
        if node.op_type == "Constant" and node.output and tensors:
            yield _constant(node.output[0], tensors[0].data_type, tensors[0].dims)


def _constant(name: str, dtype: int, dims: Any) -> OnnxValue:
    if any(size < 0 for size in dims):
        raise ModelFileError(f"the weight {name!r:.80} has the sizes {shorten(list(dims))}")
    return OnnxValue(name, _dtype(dtype), tuple(dims))


def inferred(model: onnx.ModelProto) -> dict[str, OnnxValue]:
    """The types of all values that the file states or onnx can infer, by name."""
    import onnx

    try:
        graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    except Exception:  # A file that onnx cannot infer still has the shapes that it states.
        graph = model.graph
    found = (*graph.value_info, *graph.output, *graph.input)
    return {info.name: _value(info) for info in found}


def _value(info: onnx.ValueInfoProto) -> OnnxValue:
    kind = info.type.WhichOneof("value")
    if kind != "tensor_type":
        return OnnxValue(info.name, (kind or "").removesuffix("_type"))
    tensor = info.type.tensor_type
    shape = tuple(map(_size, tensor.shape.dim)) if tensor.HasField("shape") else None
    return OnnxValue(info.name, _dtype(tensor.elem_type), shape)


def _size(dim: Any) -> int | str:
    if dim.HasField("dim_value") and dim.dim_value >= 0:
        return int(dim.dim_value)
    return str(dim.dim_param) or OPEN


@cache
def _dtype(number: int) -> str:
    import onnx

    known = onnx.TensorProto.DataType.values()
    name = onnx.TensorProto.DataType.Name(number).lower() if number in known else ""
    return _DTYPES.get(name, name)


def attribute_text(item: onnx.AttributeProto) -> str:
    """An attribute in words: its value, or the digest of one that is long."""
    import numpy as np
    import onnx

    kinds = onnx.AttributeProto
    if item.type == kinds.FLOAT:
        return str(np.float32(item.f))
    if item.type == kinds.INT:
        return str(item.i)
    if item.type == kinds.STRING and len(item.s) <= _MOST_LISTED:
        return item.s.decode(errors="replace")
    if item.type == kinds.INTS and len(item.ints) <= _MOST_LISTED:
        return str(list(item.ints))
    if item.type == kinds.FLOATS and len(item.floats) <= _MOST_LISTED:
        return f"[{', '.join(str(np.float32(number)) for number in item.floats)}]"
    digest = hashlib.sha256(item.SerializeToString(deterministic=True)).hexdigest()[:12]
    if item.type == kinds.TENSOR:
        return f"{_constant('', item.t.data_type, item.t.dims)} {digest}"
    kind = kinds.AttributeType.Name(item.type) if item.type in kinds.AttributeType.values() else "?"
    return f"{kind.lower()} {digest}"
