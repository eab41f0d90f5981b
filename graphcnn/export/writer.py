"""Writing a model as its weights are read: the largest tensor is the most memory it takes.

A protobuf message is its fields one after another, and a length-delimited field is its tag, its
length and its bytes. So the graph's length can be known before any weight is: it is the length of
the graph without initializers, plus for each initializer that of its header and its raw data. The
writer sends the model's other fields, the graph's tag and length, the graph without initializers,
and then each initializer as it is loaded, in blocks.

Past protobuf's 2 GiB the raw data goes into a file beside the model, as ONNX's external data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import onnx

from graphcnn.errors import ExportError, WeightError

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


def write_model(
    lowered: Lowered, path: Path, external: ExternalData, progress: Progress = lambda _: None
) -> None:
    """Write a model to a path, and its external data beside it as ``NAME.data``.

    Args:
        lowered: The model.
        path: The file to write.
        external: Whether the weights go into a file of their own; auto is past 2 GiB only.
        progress: Told of every block.

    Raises:
        ExportError: It is larger than 2 GiB, and external data is forbidden.
        WeightError: A weight is not what it was declared to be, or not finite.
        OSError: The file cannot be written.
    """
    if is_split(lowered, external):
        _write_split(lowered, path, progress)
        return
    with path.open("wb") as out:
        _write_head(
            lowered, out, sum(_field_size(_header(i), i.bytes) for i in lowered.initializers)
        )
        for item in lowered.initializers:
            _write_inline(item, out, progress)


def is_split(lowered: Lowered, external: ExternalData) -> bool:
    """Whether weights go into a file of their own.

    Raises:
        ExportError: They must, and external data is forbidden.
    """
    whole = _message_size(lowered)
    if external == "never" and whole > SizeLimit:
        raise ExportError(
            f"the model has {whole:,} bytes, more than protobuf's {SizeLimit:,}",
            hint="--external-data auto",
        )
    large = any(item.bytes > _INLINE_BYTES for item in lowered.initializers)
    return whole > SizeLimit or (external == "always" and large)


def data_path(path: Path) -> Path:
    """The file for the weights of a model file, where they are apart."""
    return path.with_name(f"{path.name}.data")


def _write_split(lowered: Lowered, path: Path, progress: Progress) -> None:
    """Write the model with the place of each weight, and the weights into a second file."""
    data = data_path(path)
    headers: list[tuple[Initializer, bytes]] = []
    end = 0
    for item in lowered.initializers:
        if item.bytes <= _INLINE_BYTES:
            headers.append((item, _header(item)))
            continue
        start = -(-end // _ALIGNMENT) * _ALIGNMENT
        end = start + item.bytes
        headers.append((item, _external_header(item, data.name, start)))
    with path.open("wb") as out:
        _write_head(
            lowered,
            out,
            sum(_field_size(h, i.bytes if i.bytes <= _INLINE_BYTES else None) for i, h in headers),
        )
        for item, header in headers:
            if item.bytes <= _INLINE_BYTES:
                _write_inline(item, out, progress)
            else:
                out.write(_tag(onnx.GraphProto, "initializer") + _varint(len(header)) + header)
    with data.open("wb") as out:
        for item in lowered.initializers:
            if item.bytes > _INLINE_BYTES:
                out.write(b"\0" * (-out.tell() % _ALIGNMENT))
                _write_elements(item, out, progress)


def _write_head(lowered: Lowered, out: BinaryIO, initializer_bytes: int) -> None:
    """Write everything up to the first initializer."""
    rest = onnx.ModelProto()
    rest.CopyFrom(lowered.model)
    rest.ClearField("graph")
    body = _serialized(lowered.model.graph)
    out.write(_serialized(rest))
    out.write(_tag(onnx.ModelProto, "graph") + _varint(len(body) + initializer_bytes))
    out.write(body)


def _write_inline(item: Initializer, out: BinaryIO, progress: Progress) -> None:
    header = _header(item)
    raw = _tag(onnx.TensorProto, "raw_data") + _varint(item.bytes)
    size = _varint(len(header) + len(raw) + item.bytes)
    out.write(_tag(onnx.GraphProto, "initializer") + size + header + raw)
    _write_elements(item, out, progress)


def _write_elements(item: Initializer, out: BinaryIO, progress: Progress) -> None:
    written = 0
    for block in _blocks(item.load()):
        if block.dtype != item.dtype.numpy:
            raise WeightError(f"weight {item.name} is {block.dtype}, declared as {item.dtype}")
        _check_finite(item.name, block)
        out.write(block.data)
        written += block.nbytes
        progress(block.nbytes)
    if written != item.bytes:
        raise WeightError(f"weight {item.name} has {written} bytes, declared as {item.bytes}")


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


def _check_finite(name: str, block: Array) -> None:
    import numpy as np

    if block.dtype.kind == "f" and not np.isfinite(block).all():
        found = block[~np.isfinite(block)].flat[0]
        raise WeightError(f"weight {name} holds {found}", hint="train again, or mend the file")


def _header(item: Initializer) -> bytes:
    """The tensor without its data."""
    return _serialized(_tensor(item))


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


def _message_size(lowered: Lowered) -> int:
    """The bytes of the whole model in one message."""
    fields = sum(_field_size(_header(item), item.bytes) for item in lowered.initializers)
    return int(lowered.model.ByteSize()) + fields + 2 * len(_varint(SizeLimit))


def _field_size(header: bytes, raw_bytes: int | None) -> int:
    """The bytes of one initializer as a field of the graph; None has no raw data."""
    tag = len(_tag(onnx.GraphProto, "initializer"))
    size = len(header)
    if raw_bytes is not None:
        size += len(_tag(onnx.TensorProto, "raw_data")) + len(_varint(raw_bytes)) + raw_bytes
    return tag + len(_varint(size)) + size


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
