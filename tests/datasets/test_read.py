"""Which kind of data a source is, and how data are fitted to a model."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphcnn.datasets import Dataset, Split, read_dataset
from graphcnn.errors import DataError

from .files import Array, labels, pixels


def write(folder: Path, x: Array, y: Array, **more: Any) -> str:
    np.savez(folder / "data.npz", x_train=x, y_train=y, **more)
    return str(folder / "data.npz")


def train(source: str, sizes: tuple[int | None, ...], outputs: tuple[int, ...] | None) -> Split:
    found = read_dataset(source, sizes, outputs).train
    assert found is not None
    return found


def test_unknown_sources_get_the_kinds_that_are_known(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    (tmp_path / "b.csv").touch()
    for source, said in {
        str(tmp_path): r"no data of a known kind in it, found a\.txt, b\.csv\n  hint     expected",
        str(tmp_path / "a.txt"): r"not a known kind of data\n  hint     expected a folder of IDX",
        str(tmp_path / "c"): r"c: no such file or folder\n  hint     expected a folder of IDX",
        "fashion-mnist": "fashion-mnist: no such file or folder\n.* or one of mnist, fashion_mnist",
        "x" * 5000: "cannot be read: File name too long",
    }.items():
        with pytest.raises(DataError, match=re.compile(said)):
            read_dataset(source, (28, 28, 1))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="found nothing"):
        read_dataset(str(tmp_path / "empty"), (28, 28, 1))


@pytest.mark.parametrize(
    ("shape", "sizes", "fitted"),
    [
        ((5, 4, 6), (4, 6, 1), (5, 4, 6, 1)),
        ((5, 4, 6, 1), (4, 6, 1), (5, 4, 6, 1)),
        ((5, 4, 6, 3), (None, None, 3), (5, 4, 6, 3)),
        ((5, 4, 6), (None, None, 1), (5, 4, 6, 1)),
        ((5, 7), (7,), (5, 7)),
        ((5,), (1,), (5, 1)),
    ],
)
def test_shapes_that_fit(
    tmp_path: Path, shape: tuple[int, ...], sizes: tuple[int | None, ...], fitted: tuple[int, ...]
) -> None:
    assert train(write(tmp_path, pixels(*shape), labels(5)), sizes, (10,)).x.shape == fitted


@pytest.mark.parametrize(
    ("shape", "sizes", "said"),
    [
        ((5, 4, 6), (4, 6, 3), r"samples of \[4, 6\], and the model's input is \[4, 6, 3\]"),
        ((5, 3, 4, 6), (4, 6, 3), r"np.moveaxis\(x, 1, -1\) puts the channels last"),
        ((5, 4, 6, 3), (None, 5, 3), r"the model's input is \[\?, 5, 3\]"),
        ((5, 24), (4, 6, 1), r"samples of \[24\]"),
        ((5, 4, 0), (None, None, 1), r"an array of shape \[5, 4, 0\] has no samples"),
        ((0, 4, 6), (4, 6, 1), r"an array of shape \[0, 4, 6\] has no samples"),
    ],
)
def test_shapes_that_do_not(
    tmp_path: Path, shape: tuple[int, ...], sizes: tuple[int | None, ...], said: str
) -> None:
    with pytest.raises(DataError, match=said):
        read_dataset(write(tmp_path, pixels(*shape), labels(shape[0])), sizes, (10,))


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "uint64", "int64", "bool"])
def test_labels_of_any_integers(tmp_path: Path, dtype: str) -> None:
    for y in (np.array([0, 1, 1], dtype), np.array([[0], [1], [1]], dtype)):
        for outputs in ((10,), (2,), (1,), None):
            found = train(write(tmp_path, pixels(3, 2), y), (2,), outputs)
            assert found.y.dtype == np.int64
            assert found.y.tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("y", "outputs", "said"),
    [
        (np.array([1, 10, 0]), (10,), "label 10 at index 1, and labels are 0 to 9"),
        (np.array([1, 2, -1]), (10,), "label -1 at index 2, and labels are 0 to 9"),
        (np.array([1, 2, -1]), None, "label -1 at index 2, and labels are 0 or more"),
        (np.array([0, 1, 2]), (1,), "label 2 at index 2, and labels are 0 to 1"),
        (np.array([2**64 - 1, 0, 0], "uint64"), (3,), "label 18446744073709551615 at index 0"),
        (np.eye(3, dtype="int64"), (3,), r"shape \[3, 3\]: expected one label a sample"),
        (np.zeros((3, 1, 1), "int64"), (1,), r"shape \[3, 1, 1\]"),
        (np.array([0, 1, 2]), (4, 4, 2), r"labels of classes, and .* output is \[4, 4, 2\]"),
        (np.array([0.0, 1.0, 2.0]), (10,), r"targets of shape \[\], and .* is \[10\]\n.*integers"),
        (np.array([0.0, np.nan, 2.0]), (1,), "target 1 holds numbers that are not finite"),
        (np.array([0.0, 1.0, 1e300]), (1,), "target 2 .* not finite in float32"),
    ],
    ids=range(11),
)
def test_labels_and_targets_that_do_not_fit(
    tmp_path: Path, y: Array, outputs: tuple[int, ...] | None, said: str
) -> None:
    with pytest.raises(DataError, match=re.compile(said, re.DOTALL)):
        read_dataset(write(tmp_path, pixels(3, 2), y), (2,), outputs)


def test_labels_have_to_have_a_name_where_classes_have(tmp_path: Path) -> None:
    source = write(tmp_path, pixels(3, 2), np.array([0, 1, 2]), classes=np.array(["a", "b"]))
    with pytest.raises(DataError, match="label 2 at index 2, and labels are 0 to 1"):
        read_dataset(source, (2,))


def test_targets_of_a_regression(tmp_path: Path) -> None:
    single = np.array([0.5, 1.5, 2.5])
    many = np.random.default_rng(0).random((3, 4, 5, 2))
    for y, outputs, shape in (
        (single, (1,), (3, 1)),
        (single[:, None], (1,), (3, 1)),
        (single, None, (3,)),
        (many, (4, 5, 2), many.shape),
        (np.asfortranarray(many), (4, 5, 2), many.shape),
        (np.eye(3, dtype=np.float32), (3,), (3, 3)),
    ):
        found = train(write(tmp_path, pixels(3, 2), y), (2,), outputs).y
        assert (found.dtype, found.shape) == (np.float32, shape)
        assert np.array_equal(found, y.astype(np.float32).reshape(shape))
        assert found.flags.c_contiguous


def test_samples_that_are_not_finite_are_refused_wherever_they_are(tmp_path: Path) -> None:
    x = np.zeros((3000, 64, 32), np.float32)
    x[2900, 10, 1] = np.inf
    with pytest.raises(DataError, match="sample 2900 holds numbers that are not finite"):
        read_dataset(write(tmp_path, x, labels(3000)), (64, 32, 1), (10,))


def test_samples_of_bool_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found an array of bool"):
        read_dataset(write(tmp_path, pixels(3, 2) > 9, labels(3)), (2,))


def test_the_fingerprint_is_of_types_shapes_and_numbers() -> None:
    def fingerprint(x: Array, y: Array, test: bool = False) -> str:
        split = Split(x, y)
        return Dataset("a", None if test else split, split if test else None, ()).fingerprint()

    x, y = pixels(4, 6), np.arange(4)
    other = x.copy()
    other[3, 5] ^= 1
    found = [
        fingerprint(x, y),
        fingerprint(x, y, test=True),
        fingerprint(x.reshape(4, 2, 3), y),
        fingerprint(x.view(np.int8), y),
        fingerprint(other, y),
        fingerprint(x, y[::-1].copy()),
    ]
    assert len(set(found)) == len(found)
    assert found[0] == fingerprint(x.copy(), y.copy())
    assert re.fullmatch("[0-9a-f]{64}", found[0])


def test_reading_imports_neither_tensorflow_nor_pillow() -> None:
    code = "import sys, graphcnn.datasets; print({'keras', 'tensorflow', 'PIL'} & {*sys.modules})"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.stdout == "set()\n", found.stderr
