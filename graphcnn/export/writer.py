"""Writing a model as its weights are read: the largest tensor is the most memory it takes.

A protobuf message is its fields one after another, and a length-delimited field is its tag, its
length and its bytes. So the graph's length can be known before any weight is: it is the length of
the graph without initializers, plus for each initializer that of its header and its raw data. The
writer sends the model's other fields, the graph's tag and length, the graph without initializers,
and then each initializer as it is loaded, in blocks, which are rounded where the initializer is of
half precision.

Past protobuf's 2 GiB the raw data goes into a file beside the model, as ONNX's external data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import onnx

from graphcnn.errors import ExportError, WeightError
from graphcnn.types import DType
from graphcnn.weights import check_finite

from .builder import Initializer, Lowered

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

SizeLimit = 2**31 - 1
"""The bytes of the largest protobuf message."""

ExternalData = Literal["auto", "always", "never"]

_LENGTH_DELIMITED = 2
_BLOCK_BYTES = 8 * 2**20
_TILE_BYTES = 128 * 2**10
_INLINE_BYTES = 1024
_ALIGNMENT = 4096

Progress = Callable[[int], None]
"""Called with the number of bytes of weights that were just written."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One initializer as a field of the graph.

    Attributes:
        item: The initializer.
        header: Its tensor without the raw data, or with the place of that in the other file.
        external: Whether its raw data is in the other file.
    """

    item: Initializer
    header: bytes
    external: bool

    @property
    def raw(self) -> bytes:
        """What stands before the raw data."""
        if self.external:
            return b""
        return _tag(onnx.TensorProto, "raw_data") + _varint(self.item.bytes)

    @property
    def front(self) -> bytes:
        """All that stands before the raw data."""
        body = len(self.header) + len(self.raw) + (0 if self.external else self.item.bytes)
        return _tag(onnx.GraphProto, "initializer") + _varint(body) + self.header + self.raw

    @property
    def size(self) -> int:
        """The bytes of the whole field."""
        return len(self.front) + (0 if self.external else self.item.bytes)


@dataclass(frozen=True, slots=True)
class FilePlan:
    """What goes where, known before any weight is read.

    Attributes:
        lowered: The model.
        entries: Its initializers, in order.
    """

    lowered: Lowered
    entries: tuple[Entry, ...]

    @property
    def split(self) -> bool:
        """Whether there is a file for weights beside the model."""
        return any(entry.external for entry in self.entries)


def plan_file(lowered: Lowered, path: Path, external: ExternalData) -> FilePlan:
    """Decide where the weights go.

    Args:
        lowered: The model.
        path: The file to write; external data is named after it.
        external: Whether the weights go into a file of their own; auto is past 2 GiB only.

    Raises:
        ExportError: It is larger than 2 GiB, and external data is forbidden.
    """
    entries = tuple(Entry(i, _serialized(_tensor(i)), False) for i in lowered.initializers)
    whole = int(lowered.model.ByteSize()) + 2 * len(_varint(SizeLimit))
    whole += sum(entry.size for entry in entries)
    if external == "never" and whole > SizeLimit:
        raise ExportError(
            f"the model has {whole:,} bytes, more than protobuf's {SizeLimit:,}",
            hint="--external-data auto",
        )
    if external == "always" or whole > SizeLimit:
        entries = tuple(_apart(entries, data_path(path).name))
    return FilePlan(lowered, entries)


def data_path(path: Path) -> Path:
    """The file for the weights of a model file, where they are apart."""
    return path.with_name(f"{path.name}.data")


def _apart(entries: tuple[Entry, ...], location: str) -> Iterator[Entry]:
    """The entries with all but the small ones in another file."""
    end = 0
    for entry in entries:
        if entry.item.bytes <= _INLINE_BYTES:
            yield entry
            continue
        start = -(-end // _ALIGNMENT) * _ALIGNMENT
        end = start + entry.item.bytes
        yield Entry(entry.item, _external_header(entry.item, location, start), True)


def write_model(plan: FilePlan, path: Path, progress: Progress = lambda _: None) -> None:
    """Write a model to a path, and its external data beside it as ``NAME.data``.

    Args:
        plan: What goes where.
        path: The file to write, of the name that was planned.
        progress: Told of every block.

    Raises:
        WeightError: A weight is not what it was declared to be, or not finite.
        OSError: The file cannot be written.
    """
    with path.open("wb") as out:
        _write_head(plan, out)
        for entry in plan.entries:
            out.write(entry.front)
            if not entry.external:
                _write_elements(entry.item, out, progress)
    if not plan.split:
        return
    with data_path(path).open("wb") as out:
        for entry in plan.entries:
            if entry.external:
                out.write(b"\0" * (-out.tell() % _ALIGNMENT))
                _write_elements(entry.item, out, progress)


def _write_head(plan: FilePlan, out: BinaryIO) -> None:
    """Write everything up to the first initializer."""
    rest = onnx.ModelProto()
    rest.CopyFrom(plan.lowered.model)
    rest.ClearField("graph")
    body = _serialized(plan.lowered.model.graph)
    length = len(body) + sum(entry.size for entry in plan.entries)
    out.write(_serialized(rest))
    out.write(_tag(onnx.ModelProto, "graph") + _varint(length))
    out.write(body)


def _write_elements(item: Initializer, out: BinaryIO, progress: Progress) -> None:
    written = 0
    for block in _blocks(item.load()):
        block = _rounded(item, block)
        if block.dtype != item.dtype.numpy:
            raise WeightError(f"weight {item.name} is {block.dtype}, declared as {item.dtype}")
        check_finite(item.name, block)
        out.write(block.data)
        written += block.nbytes
        progress(block.nbytes)
    if written != item.bytes:
        raise WeightError(f"weight {item.name} has {written} bytes, declared as {item.bytes}")


def _rounded(item: Initializer, block: Array) -> Array:
    """Float32 numbers in the half precision that they are declared in, those near zero included.

    Raises:
        WeightError: One is more than it holds.
    """
    import numpy as np

    if item.dtype != DType.float16 or block.dtype != DType.float32.numpy:
        return block
    with np.errstate(over="ignore"):
        half = block.astype(item.dtype.numpy)
    lost = np.isinf(half) & np.isfinite(block)
    if not lost.any():
        return half
    error = WeightError(
        f"weight {item.name} holds {block[lost].flat[0]:,g}, and float16 no more than "
        f"{np.finfo(np.float16).max:,.0f}",
        hint="--precision fp32",
    )
    layer = item.layer
    raise error.explained(location=layer.location, subject=layer.subject) if layer else error


def _blocks(array: Array) -> Iterator[Array]:
    """The elements in C order, as contiguous arrays of a bounded size."""
    if array.nbytes <= _BLOCK_BYTES or array.ndim == 0:
        yield _contiguous(array)
        return
    row_bytes = array.nbytes // len(array)
    if row_bytes > _BLOCK_BYTES:
        for row in array:
            yield from _blocks(row)
        return
    step = _BLOCK_BYTES // row_bytes
    for start in range(0, len(array), step):
        yield _contiguous(array[start : start + step])


def _contiguous(block: Array) -> Array:
    """The block in C order; a rearranged one is copied in tiles that stay in the cache."""
    import numpy as np

    if block.flags.c_contiguous or block.ndim < 2:
        return np.ascontiguousarray(block)
    copy = np.empty(block.shape, block.dtype)
    step = max(1, _TILE_BYTES * block.shape[1] // block.nbytes)
    for start in range(0, block.shape[1], step):
        copy[:, start : start + step] = block[:, start : start + step]
    return copy


def _external_header(item: Initializer, location: str, offset: int) -> bytes:
    tensor = _tensor(item)
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", item.bytes)):
        tensor.external_data.add(key=key, value=str(value))
    return _serialized(tensor)


def _serialized(message: Any) -> bytes:
    """The same bytes every time."""
    return bytes(message.SerializeToString(deterministic=True))


def _tensor(item: Initializer) -> onnx.TensorProto:
    return onnx.TensorProto(name=item.name, dims=item.dims, data_type=item.dtype.onnx)


@cache
def _tag(message: Any, name: str) -> bytes:
    return _varint(message.DESCRIPTOR.fields_by_name[name].number << 3 | _LENGTH_DELIMITED)


def _varint(value: int) -> bytes:
    """A number in base 128, least significant first, the high bit set on all bytes but the last."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
