"""Small files of the formats that are read, written byte by byte as their makers write them."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
IMAGES = {"train": "train-images-idx3-ubyte", "t10k": "t10k-images-idx3-ubyte"}
LABELS = {"train": "train-labels-idx1-ubyte", "t10k": "t10k-labels-idx1-ubyte"}


def pixels(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def labels(count: int, classes: int = 10) -> Array:
    return (np.arange(count) % classes).astype(np.uint8)


def idx(array: Array, kind: int = 0x08) -> bytes:
    header = bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


def idx_folder(folder: Path, *, train: int = 12, test: int = 5, packed: bool = False) -> Path:
    folder.mkdir(exist_ok=True)
    for split, count in (("train", train), ("t10k", test)):
        if count:
            put(folder / IMAGES[split], idx(pixels(count, 4, 6, seed=count)), packed)
            put(folder / LABELS[split], idx(labels(count)), packed)
    return folder


def put(path: Path, data: bytes, packed: bool = False) -> None:
    if packed:
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(data))
    else:
        path.write_bytes(data)


def text(value: bytes) -> bytes:
    """A text, as protocol 2 of Python 2 has it."""
    if len(value) < 256:
        return b"U" + bytes([len(value)]) + value
    return b"T" + struct.pack("<i", len(value)) + value


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def array_pickle(rows: Array, dtype: bytes = b"u1") -> bytes:
    """A numpy array: what is called, and with what, and the state that is set."""
    made = b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85U\x01b\x87R"
    kind = b"cnumpy\ndtype\nq\n" + text(dtype) + b"K\x00K\x01\x87R(K\x03U\x01|NNN"
    kind += number(-1) + number(-1) + b"K\x00tb"
    shape = number(len(rows)) + number(rows.shape[1]) + b"\x86"
    return made + b"(K\x01" + shape + kind + b"\x89" + text(rows.tobytes()) + b"tb"


def dictionary(items: Mapping[bytes, bytes]) -> bytes:
    """A pickle of a dictionary whose values are pickled already."""
    body = b"".join(text(key) + value for key, value in items.items())
    return b"\x80\x02}q\x01(" + body + b"u."


def batch(x: Array, y: Sequence[int]) -> bytes:
    """Images (samples, 32, 32, 3) and labels as one of CIFAR-10's batches."""
    rows = np.ascontiguousarray(x.transpose(0, 3, 1, 2)).reshape(len(x), -1)
    numbers = b"]q\x04(" + b"".join(b"K" + bytes([label]) for label in y) + b"e"
    return dictionary({b"labels": numbers, b"data": array_pickle(rows)})


def meta(names: Sequence[str] = NAMES) -> bytes:
    names_pickle = b"]q\x02(" + b"".join(text(name.encode()) for name in names) + b"e"
    return dictionary({b"label_names": names_pickle})


def cifar_files(each: int = 3) -> dict[str, bytes]:
    """Five batches, and the test's, of a few images, and the names of the classes."""
    names = [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]
    batches = {
        name: batch(pixels(each, 32, 32, 3, seed=seed), [(seed + i) % 10 for i in range(each)])
        for seed, name in enumerate(names)
    }
    return {"batches.meta": meta(), **batches}


def cifar_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def archive(path: Path, files: Mapping[str, bytes], mode: Any = "w:gz") -> Path:
    with tarfile.open(path, mode) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path
