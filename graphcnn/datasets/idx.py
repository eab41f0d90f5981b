"""IDX files: MNIST's format, of http://yann.lecun.com/exdb/mnist."""

from __future__ import annotations

import gzip
import math
import struct
from pathlib import Path
from typing import IO, cast

from graphcnn.errors import DataError
from graphcnn.runtime.signature import Array

from .dataset import Dataset, Split
from .streams import DEFLATE_RATIO, read_bytes, reading

_IMAGES, _LABELS = "images", "labels"
_AXES = {_IMAGES: 3, _LABELS: 1}
_UBYTE = 0x08
_TYPES = {0x09: "int8", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32", 0x0E: "float64"}

_CLASSES = "classes.txt"
_LARGEST_CLASSES = 2**20


def find_idx(folder: Path) -> dict[tuple[str, str], Path]:
    """The IDX files of a folder, by their split (train, t10k) and part (images, labels)."""
    names = {
        (split, part): [
            f"{split}-{part}{separator}idx{axes}-ubyte{suffix}"
            for suffix in ("", ".gz")
            for separator in "-."
        ]
        for split in ("train", "t10k")
        for part, axes in _AXES.items()
    }
    there = {
        key: [folder / name for name in candidates if (folder / name).is_file()]
        for key, candidates in names.items()
    }
    return {key: paths[0] for key, paths in there.items() if paths}


def read_idx(folder: Path) -> Dataset:
    """Read a folder of IDX files, with the names of the classes from a classes.txt in it.

    Returns:
        x as uint8 (samples, rows, columns), y as uint8 (samples,).

    Raises:
        DataError: A file is damaged, of another kind, or without its counterpart.
    """
    files = find_idx(folder)
    train, test = _read_split(folder, files, "train"), _read_split(folder, files, "t10k")
    return Dataset(str(folder), train, test, _read_classes(folder / _CLASSES))


def _read_split(folder: Path, files: dict[tuple[str, str], Path], split: str) -> Split | None:
    parts = {part: files[split, part] for part in _AXES if (split, part) in files}
    if not parts:
        return None
    missing = [part for part in _AXES if part not in parts]
    if missing:
        (found,) = parts.values()
        raise DataError(
            f"{found} is there without {split}-{missing[0]}-idx{_AXES[missing[0]]}-ubyte",
            hint=f"put it, or its .gz, into {folder}",
        )
    x, y = (_read_file(path, _AXES[part]) for part, path in parts.items())
    if len(x) != len(y):
        raise DataError(
            f"{parts[_LABELS]} has {len(y):,} labels, and {parts[_IMAGES]} has {len(x):,} images"
        )
    return Split(x, y)


def _read_file(path: Path, axes: int) -> Array:
    size = path.stat().st_size
    with reading(path, "IDX file", "get the file again"):
        if path.suffix != ".gz":
            with path.open("rb") as file:
                return _read_stream(file, path, axes, size)
        with gzip.open(path) as stream:
            return _read_stream(cast(IO[bytes], stream), path, axes, size * DEFLATE_RATIO)


def _read_stream(stream: IO[bytes], path: Path, axes: int, most: int) -> Array:
    """The array of an open file that holds no more than `most` bytes."""
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise DataError(
            f"{path}: not an IDX file: it begins with {_hex(magic)}, "
            f"and IDX of unsigned bytes with {_hex(bytes((0, 0, _UBYTE, axes)))}",
            hint="a file that is packed with gzip has a name that ends in .gz",
        )
    if magic[2] != _UBYTE:
        kind = _TYPES.get(magic[2], f"type 0x{magic[2]:02x}")
        raise DataError(f"{path}: expected IDX of unsigned bytes (0x08), found {kind}")
    if magic[3] != axes:
        raise DataError(f"{path}: expected an array of rank {axes}, found rank {magic[3]}")
    header = stream.read(4 * axes)
    if len(header) < 4 * axes:
        raise DataError(f"{path}: truncated in its header", hint="get the file again")
    shape = struct.unpack(f">{axes}I", header)
    count = math.prod(shape)
    if count > most:
        raise DataError(
            f"{path}: truncated: its header says {list(shape)}, which is {count:,} bytes, "
            f"and it holds at most {most - 4 - len(header):,}",
            hint="get the file again",
        )
    return read_bytes(stream, count, path).reshape(shape)


def _hex(data: bytes) -> str:
    return data.hex(" ") or "nothing"


def _read_classes(path: Path) -> tuple[str, ...]:
    if not path.is_file():
        return ()
    if path.stat().st_size > _LARGEST_CLASSES:
        raise DataError(f"{path}: more than {_LARGEST_CLASSES:,} bytes of class names")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except ValueError as error:
        raise DataError(f"{path}: not UTF-8 text", hint="one class name a line") from error
    return tuple(line.strip() for line in text.rstrip().split("\n"))
