"""An .onnx file without its weights: read by skipping them, so that memory holds the rest alone.

A protobuf message is its fields one after another: a tag (the field's number, and how its value is
encoded), and the value, with its length in front where it is a message, text or bytes. So a message
can be read without some of its fields by walking it, never touching what is skipped. Large
messages are walked into (a graph, its initializers, the tensor of a Constant), and a large tensor
is read without its elements. Small messages are parsed as they are, which keeps the numbers that
shapes depend on.

The file may be anyone's, so what is kept, how deep it nests and how often the walk steps are all
bounded.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import GraphCNNError, ModelFileError

if TYPE_CHECKING:
    import onnx

_SMALL_BYTES = 4096
"""A message of at most this size is parsed whole."""

_MOST_BYTES = 64 * 2**20
"""More than this beside the weights is no network; a graph of 50,000 nodes takes 10 MB."""

_MOST_FIELDS = 1_000_000
_DEEPEST = 64
_LONGEST_VARINT = 10

_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5
_FIXED = {_FIXED64: 8, _FIXED32: 4}

_ELEMENTS = frozenset(
    f"{kind}_data" for kind in ("float", "int32", "string", "int64", "raw", "double", "uint64")
)
"""The fields of a TensorProto that hold its elements."""


def read_structure(path: Path) -> onnx.ModelProto:
    """Read an .onnx file without the elements of its large tensors.

    Args:
        path: The file; external data beside it is not read.

    Returns:
        The model, its large tensors with their names, shapes and types alone.

    Raises:
        ModelFileError: The file is missing, damaged or cut short, holds no graph, or is larger
            without its weights than any network.
    """
    import onnx
    from google.protobuf.message import DecodeError

    if path.is_dir():
        raise ModelFileError(f"{path} is a directory", hint="name an .onnx file in it")
    if not path.is_file():
        raise ModelFileError(f"{path}: no such file")
    model = onnx.ModelProto()
    try:
        if not path.stat().st_size:
            raise ModelFileError(f"{path} is empty")
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            _Walk(data, path).read(model, 0, len(data), 0)
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror or error}") from error
    except DecodeError:
        raise ModelFileError(f"{path} is not an .onnx file, or is damaged") from None
    if not model.HasField("graph") or not model.opset_import:
        raise ModelFileError(f"{path} is not an .onnx file: it holds no graph with an opset")
    if not _is_text(model):
        raise ModelFileError(f"{path} is damaged: a name in it is not text")
    return model


def _is_text(message: Any) -> bool:
    """Whether all strings in a message are; protobuf hands out bytes for those that are not."""
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            parts = value if hasattr(value, "add") else [value]
            if not all(map(_is_text, parts)):
                return False
        elif field.type == field.TYPE_STRING:
            parts = [value] if isinstance(value, str | bytes) else value
            if any(isinstance(text, bytes) for text in parts):
                return False
    return True


@dataclass(slots=True)
class _Walk:
    data: mmap.mmap
    path: Path
    fields: int = 0
    kept: int = 0

    def read(self, message: Any, start: int, end: int, depth: int) -> None:
        """Merge these bytes into the message, without the elements of large tensors."""
        if depth > _DEEPEST:
            raise self._error("nests too deeply")
        kind = message.DESCRIPTOR
        skipped = _ELEMENTS if kind.name == "TensorProto" else frozenset[str]()
        for number, wire, tag_at, value_at, after in self._fields(start, end):
            field = kind.fields_by_number.get(number)
            if field and field.name in skipped:
                continue
            inner = field.message_type if field and wire == _LENGTH_DELIMITED else None
            if inner is None or after - value_at <= _SMALL_BYTES:
                self._keep(after - tag_at)
                message.MergeFromString(self.data[tag_at:after])
                continue
            part = getattr(message, field.name)
            self.read(part.add() if hasattr(part, "add") else part, value_at, after, depth + 1)

    def _fields(self, start: int, end: int) -> Iterator[tuple[int, int, int, int, int]]:
        """Each field: its number and encoding, and where its tag, its value and the next begin."""
        at = start
        while at < end:
            self.fields += 1
            if self.fields > _MOST_FIELDS:
                raise self._error(f"has more than {_MOST_FIELDS:,} parts beside its weights")
            tag, value_at = self._varint(at, end)
            number, wire = tag >> 3, tag & 7
            if wire == _VARINT:
                after = self._varint(value_at, end)[1]
            elif wire == _LENGTH_DELIMITED:
                length, value_at = self._varint(value_at, end)
                after = value_at + length
            elif wire in _FIXED:
                after = value_at + _FIXED[wire]
            else:
                raise self._damaged(at)
            if after > end or not number:
                raise self._damaged(at)
            yield number, wire, at, value_at, after
            at = after

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        """A number in base 128, least significant first, and where it ends."""
        value = 0
        for shift, byte in enumerate(self.data[at : min(at + _LONGEST_VARINT, end)]):
            value |= (byte & 0x7F) << 7 * shift
            if byte < 0x80:
                return value, at + shift + 1
        raise self._damaged(at)

    def _keep(self, size: int) -> None:
        self.kept += size
        if self.kept > _MOST_BYTES:
            raise self._error(f"has more than {_MOST_BYTES:,} bytes beside its weights")

    def _damaged(self, at: int) -> GraphCNNError:
        return self._error(f"is not an .onnx file, or is cut short (at byte {at:,})")

    def _error(self, message: str) -> GraphCNNError:
        return ModelFileError(f"{self.path} {message}")
