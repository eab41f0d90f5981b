"""Arrays in an .npz file."""

from __future__ import annotations

import math
import zipfile
from collections import Counter
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from graphcnn.errors import DataError
from graphcnn.runtime.signature import Array

from .dataset import Dataset, Split
from .streams import DEFLATE_RATIO, listed, read_bytes, reading

_HINT = "np.savez writes it: x_train and y_train, x_test and y_test, or all, and perhaps classes"
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
_LARGEST_CLASSES = 2**20


def read_npz(path: Path) -> Dataset:
    """Read x_train and y_train, x_test and y_test, or all four, and the optional classes.

    Returns:
        The arrays as they are stored, in the byte order of this machine.

    Raises:
        DataError: The file is damaged, holds Python objects, or one array of a pair is missing.
    """
    with reading(path, ".npz file", _HINT), zipfile.ZipFile(path) as archive:
        members = _members(path, archive)
        train = _read_split(path, archive, members, "train")
        test = _read_split(path, archive, members, "test")
        if train is None and test is None:
            raise DataError(
                f"{path}: neither x_train nor x_test is in it, found {listed(members)}", hint=_HINT
            )
        return Dataset(str(path), train, test, _read_classes(path, archive, members))


def _members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    counts = Counter(name.removesuffix(".npy") for name in archive.namelist())
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise DataError(f"{path}: two arrays are called {listed(twice)}")
    return {item.filename.removesuffix(".npy"): item for item in archive.infolist()}


def _read_split(
    path: Path, archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], split: str
) -> Split | None:
    names = [f"x_{split}", f"y_{split}"]
    found = [name for name in names if name in members]
    if not found:
        return None
    if len(found) == 1:
        missing = next(name for name in names if name not in members)
        raise DataError(f"{path}: {found[0]} is there without {missing}", hint=_HINT)
    x, y = (_read_array(archive, members[name], f"{path}: {name}") for name in names)
    return Split(x, y)


def _read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, subject: str) -> Array:
    """An array that is no larger than its member, which is no larger than deflate can make it."""
    if member.compress_type not in _METHODS:
        raise DataError(f"{subject}: packed in a way that numpy does not use", hint=_HINT)
    if member.file_size > DEFLATE_RATIO * member.compress_size:
        raise DataError(
            f"{subject}: damaged: {member.compress_size:,} bytes cannot be the "
            f"{member.file_size:,} that the archive says"
        )
    with reading(subject, "array", _HINT), archive.open(member) as stream:
        shape, by_columns, dtype = _read_header(stream, subject)
        count = math.prod(shape) * dtype.itemsize
        there = member.file_size - stream.tell()
        if count != there:
            raise DataError(
                f"{subject}: its header says {list(shape)} {dtype}, which is {count:,} bytes, "
                f"and {there:,} are there"
            )
        flat = read_bytes(stream, count, subject).view(dtype)
    if not dtype.isnative:
        flat = flat.byteswap(inplace=True).view(dtype.newbyteorder("="))
    return flat.reshape(shape, order="F" if by_columns else "C")


def _read_header(stream: IO[bytes], subject: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(stream)
    if version not in _HEADERS:
        raise DataError(f"{subject}: an array of version {version} of numpy's format", hint=_HINT)
    shape, by_columns, dtype = _HEADERS[version](stream)
    if dtype.hasobject:
        raise DataError(
            f"{subject} holds Python objects, which are not read: they could run code",
            hint="save an array of numbers: x.astype('uint8') or the like",
        )
    return shape, by_columns, dtype


def _read_classes(
    path: Path, archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]
) -> tuple[str, ...]:
    member = members.get("classes")
    if member is None:
        return ()
    if member.file_size > _LARGEST_CLASSES:
        raise DataError(f"{path}: classes: more than {_LARGEST_CLASSES:,} bytes of names")
    names = _read_array(archive, member, f"{path}: classes")
    if names.dtype.kind != "U" or names.ndim != 1:
        raise DataError(
            f"{path}: classes: expected texts, one a class, "
            f"found {list(names.shape)} {names.dtype.name}"
        )
    return tuple(names.tolist())
