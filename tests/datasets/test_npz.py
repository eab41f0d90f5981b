"""Arrays in .npz files."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphcnn.datasets import Dataset, read_dataset
from graphcnn.errors import DataError, GraphCNNError

from .files import Array, labels, pixels


def arrays(**changes: Any) -> dict[str, Array]:
    """Twelve images to train on and four to test on, with changes; None leaves an array out."""
    found = {
        "x_train": pixels(12, 4, 6, 3),
        "y_train": labels(12),
        "x_test": pixels(4, 4, 6, 3, seed=1),
        "y_test": labels(4),
        **changes,
    }
    return {name: array for name, array in found.items() if array is not None}


def write(folder: Path, found: dict[str, Array], packed: bool = False) -> Path:
    save: Any = np.savez_compressed if packed else np.savez
    save(folder / "data.npz", **found)
    return folder / "data.npz"


def read(path: Path) -> Dataset:
    return read_dataset(str(path), (4, 6, 3), (10,))


def refused(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read(path)
    return str(caught.value)


@pytest.mark.parametrize("packed", [False, True], ids=["stored", "deflated"])
def test_reads_what_numpy_writes(tmp_path: Path, packed: bool) -> None:
    names = np.array([f"class {number}" for number in range(10)])
    data = read(write(tmp_path, arrays(classes=names), packed))
    assert data.train is not None
    assert data.test is not None
    assert np.array_equal(data.train.x, pixels(12, 4, 6, 3))
    assert data.train.x.dtype == np.uint8
    assert np.array_equal(data.test.x, pixels(4, 4, 6, 3, seed=1))
    assert data.test.y.tolist() == [0, 1, 2, 3]
    assert data.classes == tuple(names)


def test_reads_one_split_alone(tmp_path: Path) -> None:
    data = read(write(tmp_path, arrays(x_train=None, y_train=None)))
    assert data.train is None
    assert data.test is not None


@pytest.mark.parametrize("dtype", ["<f4", ">f4", ">u2", "<i8", ">f8", "<f2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_numbers_keep_their_type_in_this_machines_byte_order(
    tmp_path: Path, dtype: str, order: Any
) -> None:
    x = np.asarray(pixels(12, 4, 6, 3), dtype=dtype, order=order)
    data = read(write(tmp_path, arrays(x_train=x, x_test=None, y_test=None)))
    assert data.train is not None
    assert data.train.x.dtype == np.dtype(dtype).newbyteorder("=")
    assert np.array_equal(data.train.x, x)
    assert data.train.x.flags.c_contiguous


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"y_test": None}, "x_test is there without y_test"),
        ({"x_train": None}, "y_train is there without x_train"),
        (
            {**dict.fromkeys(arrays()), "images": pixels(3)},
            "neither x_train nor x_test is in it, found images",
        ),
        ({"x_train": np.array([[1], "a"], dtype=object)}, "x_train holds Python objects"),
        ({"x_train": np.array(["a", "b"])}, "training data: expected numbers, found an array of"),
        ({"x_train": pixels(12, 4, 6, 3).astype(complex)}, "found an array of complex128"),
        ({"x_train": pixels(12, 4, 6, 3).astype(np.longdouble)}, "expected numbers, found"),
        ({"y_train": labels(11)}, "training data: 12 samples, and labels for 11"),
        ({"x_train": np.array(5)}, "an array of shape [] has no samples"),
        ({"classes": np.arange(10)}, "classes: expected texts, one a class, found [10] int64"),
        ({"classes": np.array([["a"]])}, "found [1, 1] str"),
        ({"classes": np.array(["a", "b"])}, "2 class names, and the model tells 10"),
        ({"classes": np.array(["x" * 300_000])}, "classes: more than 1,048,576 bytes"),
        ({"x_test": pixels(4, 4, 6, 3) / 255}, "x is uint8 for training and float64 for test"),
        ({"y_test": np.ones((4, 10), np.float32)}, "y is int64 for training and float32 for test"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refuses_arrays(tmp_path: Path, changes: dict[str, Array | None], said: str) -> None:
    assert said in refused(write(tmp_path, arrays(**changes)))


def npy(array: Array) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (npy(pixels(12, 4, 6, 3))[:-1], "which is 864 bytes, and 863 are there"),
        (npy(pixels(12, 4, 6, 3)) + b"\0", "which is 864 bytes, and 865 are there"),
        (npy(pixels(12, 4, 6, 3)).replace(b"(12, 4, 6, 3)", b"(99999999999)"), "not a readable"),
        (npy(pixels(12, 4, 6, 3)).replace(b"(12, 4, 6, 3)", b"(9999999999,)"), "864 are there"),
        (npy(pixels(12, 4, 6, 3)).replace(b"(12, 4, 6, 3)", b"(-1, 4, 6, 3)"), "x_train: "),
        (npy(pixels(12, 4, 6, 3)).replace(b"NUMPY\x01", b"NUMPY\x03"), "version (3, 0)"),
        (b"text", "x_train: not a readable array"),
        (b"", "x_train: not a readable array"),
    ],
    ids=["short", "long", "shape", "huge", "negative", "version", "text", "empty"],
)
def test_refuses_a_damaged_array(tmp_path: Path, x: bytes, said: str) -> None:
    path = write(tmp_path, arrays(x_train=None))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x_train.npy", x)
    assert said in refused(path)


def test_refuses_archives_that_numpy_does_not_write(tmp_path: Path) -> None:
    path = write(tmp_path, arrays(x_train=None))
    with zipfile.ZipFile(path, "a", zipfile.ZIP_LZMA) as archive:
        archive.writestr("x_train.npy", npy(pixels(12, 4, 6, 3)))
    assert "packed in a way that numpy does not use" in refused(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x_test", npy(pixels(4, 4, 6, 3)))  # Beside x_test.npy.
    assert "two arrays are called x_test" in refused(path)
    path.write_bytes(b"not a zip")
    assert f"{path}: not a readable .npz file" in refused(path)


def test_a_changed_byte_is_found_by_its_checksum(tmp_path: Path) -> None:
    path = write(tmp_path, arrays())
    data = path.read_bytes()
    at = data.index(pixels(12, 4, 6, 3).tobytes())
    path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    assert "x_train: not a readable array: Bad CRC-32" in refused(path)


def test_a_size_that_lies_takes_no_memory(tmp_path: Path) -> None:
    path = write(tmp_path, arrays(), packed=True)
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        item = archive.getinfo("x_train.npy")
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = (2**32 - 2).to_bytes(4, "little")
    path.write_bytes(data)
    said = f"{item.compress_size:,} bytes cannot be the 4,294,967,294"
    tracemalloc.start()
    try:
        assert said in refused(path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("packed", [False, True], ids=["stored", "deflated"])
def test_memory_stays_near_the_data(tmp_path: Path, packed: bool) -> None:
    x = np.tile(pixels(1, 64, 64, 1), (4096, 1, 1, 1))
    path = write(tmp_path, {"x_train": x, "y_train": labels(len(x))}, packed)
    tracemalloc.start()
    try:
        read_dataset(str(path), (64, 64, 1), (10,)).fingerprint()
        assert tracemalloc.get_traced_memory()[1] < x.nbytes + 4 * 2**20
    finally:
        tracemalloc.stop()


_WHOLE = io.BytesIO()
np.savez(_WHOLE, **arrays())  # type: ignore[arg-type]  # numpy's stubs know no keywords


@given(at=st.integers(0, len(_WHOLE.getvalue()) - 1), value=st.integers(0, 255), cut=st.booleans())
def test_any_damage_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, at: int, value: int, cut: bool
) -> None:
    whole = _WHOLE.getvalue()
    path = tmp_path_factory.mktemp("npz") / "data.npz"
    path.write_bytes(whole[:at] if cut else whole[:at] + bytes([value]) + whole[at + 1 :])
    try:
        found = read(path)
    except GraphCNNError:
        return
    assert found.splits
