"""CIFAR-10's python batches, of https://www.cs.toronto.edu/~kriz/cifar.html.

Krizhevsky: Learning Multiple Layers of Features from Tiny Images, 2009.
"""

from __future__ import annotations

import gzip
import lzma
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, cast

import numpy as np

from graphcnn.errors import DataError
from graphcnn.runtime.signature import Array

from .dataset import Dataset, Split
from .pickled import pixel_rows, read_pickle
from .streams import allocate, listed, read_bytes, reading

ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz")
"""The kinds of archives that are read."""

_TRAIN = tuple(f"data_batch_{number}" for number in range(1, 6))
_TEST = ("test_batch",)
_META = "batches.meta"
_NAMES = (*_TRAIN, *_TEST, _META)
_FOLDER = "cifar-10-batches-py"

_PIXELS = (3, 32, 32)
_ROW = 3072

_LARGEST_FILE = 64 * 2**20
"""A batch has 31 MB."""

_LARGEST_ARCHIVE = 2**29
"""The unpacked archive has 186 MB."""

_MOST_MEMBERS = 1000


def find_cifar(folder: Path) -> Path | None:
    """The folder with the batches: this one, or the one in it that the archive makes."""
    for candidate in (folder, folder / _FOLDER):
        if any((candidate / name).is_file() for name in _NAMES):
            return candidate
    return None


def read_cifar(path: Path) -> Dataset:
    """Read a folder or an archive of batches. Nothing in them is executed or unpacked to disk.

    Returns:
        x as uint8 (samples, 32, 32, 3), y as int64 (samples,), and the names of the classes.

    Raises:
        DataError: A file is missing, damaged, or of another kind.
    """
    train, test = _Batches(_TRAIN), _Batches(_TEST)
    classes: tuple[str, ...] | None = None
    for name, data in _in_folder(path) if path.is_dir() else _in_archive(path):
        subject = f"{path}: {name}"
        value = read_pickle(data.data, subject)
        if name == _META:
            classes = _class_names(value, subject)
        else:
            (test if name in _TEST else train).add(name, value, subject)
        del data, value  # Before the next is read.
    splits = train.split(path), test.split(path)
    if splits == (None, None):
        raise DataError(f"{path}: no batches in it", hint=f"expected {', '.join(_NAMES)}")
    if classes is None:
        raise DataError(f"{path}: {_META} is missing", hint="it holds the names of the classes")
    return Dataset(str(path), *splits, classes)


class _Batches:
    """The batches of one split, which come in any order and fill one array."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._read: set[str] = set()
        self._x: Array | None = None
        self._y: Array | None = None

    def add(self, name: str, value: object, subject: str) -> None:
        rows, labels = _batch(value, subject)
        if self._x is None or self._y is None:
            self._x = allocate((len(self._names), len(rows), 32, 32, 3), np.uint8, subject)
            self._y = allocate(self._x.shape[:2], np.int64, subject)
        if len(rows) != self._x.shape[1]:
            raise DataError(
                f"{subject} has {len(rows):,} images, and the batches before have "
                f"{self._x.shape[1]:,}"
            )
        at = self._names.index(name)
        self._x[at] = rows.reshape(-1, *_PIXELS).transpose(0, 2, 3, 1)
        self._y[at] = labels
        self._read.add(name)

    def split(self, path: Path) -> Split | None:
        missing = [name for name in self._names if name not in self._read]
        if self._x is None or self._y is None:
            return None
        if missing:
            raise DataError(f"{path}: {listed(missing)} missing", hint="get the archive again")
        return Split(self._x.reshape(-1, 32, 32, 3), self._y.reshape(-1))


def _batch(value: object, subject: str) -> tuple[Array, list[int]]:
    match value:
        case {b"data": data, b"labels": list(labels)}:
            rows = pixel_rows(data, subject)
        case _:
            raise DataError(
                f"{subject}: expected a dictionary with data and labels",
                hint="CIFAR-10's batches are read; CIFAR-100's are not",
            )
    if rows.shape[1] != _ROW:
        raise DataError(f"{subject}: expected rows of {_ROW} bytes, found {rows.shape[1]}")
    if len(labels) != len(rows):
        raise DataError(f"{subject} has {len(labels):,} labels, and {len(rows):,} images")
    if any(type(label) is not int for label in labels):
        raise DataError(f"{subject}: labels that are not integers")
    return rows, labels


def _class_names(value: object, subject: str) -> tuple[str, ...]:
    match value:
        case {b"label_names": list(names)} if all(isinstance(name, bytes) for name in names):
            return tuple(name.decode("utf-8", "surrogateescape") for name in names)
    raise DataError(f"{subject}: expected a dictionary with label_names, a list of texts")


def _in_folder(folder: Path) -> Iterator[tuple[str, Array]]:
    """The files of a folder that are CIFAR's, one at a time, by name."""
    for name in _NAMES:
        path = folder / name
        if not path.is_file():
            continue
        with reading(path, "file"), path.open("rb") as stream:
            yield name, _bounded(stream, path.stat().st_size, path)


def _in_archive(path: Path) -> Iterator[tuple[str, Array]]:
    """Those of an archive, in one pass over it: packed streams cannot be searched."""
    seen = set()
    with reading(path, "archive", "get it again"), _unpacked(path) as unpacked:
        stream = _Limited(unpacked, path)
        with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r|") as archive:
            for count, member in enumerate(archive):
                if count == _MOST_MEMBERS:
                    raise DataError(f"{path}: an archive of more than {_MOST_MEMBERS:,} files")
                name = PurePosixPath(member.name).name
                if name not in _NAMES or not member.isreg():  # A link may lead anywhere.
                    continue
                if name in seen:
                    raise DataError(f"{path}: {name} is in it twice")
                seen.add(name)
                content = archive.extractfile(member)
                assert content is not None
                yield name, _bounded(content, member.size, f"{path}: {name}")
        while stream.read(2**20):
            pass  # What is behind the last file counts for the checksum.


def _unpacked(path: Path) -> IO[bytes]:
    if path.suffix == ".xz":
        return cast(IO[bytes], lzma.open(path))
    if path.suffix in (".gz", ".tgz"):
        return cast(IO[bytes], gzip.open(path))
    return path.open("rb")


def _bounded(stream: IO[bytes], size: int, subject: object) -> Array:
    if size > _LARGEST_FILE:
        raise DataError(
            f"{subject}: {size:,} bytes, and at most {_LARGEST_FILE:,} are read as a batch"
        )
    return read_bytes(stream, size, subject)


class _Limited:
    """A stream that stops with an error where an archive unpacks to too much."""

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self._stream = stream
        self._path = path
        self._left = _LARGEST_ARCHIVE

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise DataError(f"{self._path}: unpacks to more than {_LARGEST_ARCHIVE:,} bytes")
        return data
