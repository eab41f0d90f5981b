"""IDX files: what is read, and what a damaged one gets."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphcnn.datasets import Dataset, Split, read_dataset
from graphcnn.errors import DataError, GraphCNNError

from .files import IMAGES, LABELS, idx, idx_folder, labels, pixels, put

SIZES = (4, 6, 1)


def read(folder: Path) -> Dataset:
    return read_dataset(str(folder), SIZES, (10,))


def split(part: Split | None) -> Split:
    assert part is not None
    return part


def refused(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        read(folder)
    return str(caught.value)


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
def test_reads_both_splits_with_the_channel_that_is_left_out(tmp_path: Path, packed: bool) -> None:
    data = read(idx_folder(tmp_path, packed=packed))
    train, test = split(data.train), split(data.test)
    assert (train.x.shape, train.x.dtype, len(train)) == ((12, 4, 6, 1), np.uint8, 12)
    assert np.array_equal(train.x[..., 0], pixels(12, 4, 6, seed=12))
    assert np.array_equal(test.x[..., 0], pixels(5, 4, 6, seed=5))
    assert train.y.dtype == np.int64
    assert train.y.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert train.x.flags.c_contiguous
    assert data.classes == ()
    assert data.source == str(tmp_path)


def test_reads_names_with_a_dot_and_one_split_alone(tmp_path: Path) -> None:
    idx_folder(tmp_path, train=0)
    for path in list(tmp_path.iterdir()):
        path.rename(path.with_name(path.name.replace("-idx", ".idx")))
    data = read(tmp_path)
    assert data.train is None
    assert len(split(data.test)) == 5


def test_class_names_come_from_a_file_beside(tmp_path: Path) -> None:
    names = [f"grün {number}" for number in range(10)]
    idx_folder(tmp_path)
    (tmp_path / "classes.txt").write_text("\n".join(names) + "\n\n", encoding="utf-8")
    assert read(tmp_path).classes == tuple(names)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a\nb\n", "2 class names, and the model tells 10 classes apart"),
        (b"\xff\xfe", "classes.txt: not UTF-8"),
        (b"a\n" * 10, "two classes are called 'a'"),
        (b"a\n\nb\n", "a class is called ''"),
        (b"a\x1b[31m\n", r"a class is called 'a\x1b[31m'"),
        (b"a" * (2**20 + 1), "more than 1,048,576 bytes of class names"),
    ],
    ids=["count", "encoding", "twice", "empty", "control", "size"],
)
def test_refuses_class_names(tmp_path: Path, content: bytes, said: str) -> None:
    idx_folder(tmp_path)
    (tmp_path / "classes.txt").write_bytes(content)
    assert said in refused(tmp_path)


IMAGE = idx(pixels(12, 4, 6))


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "begins with nothing, and IDX of unsigned bytes with 00 00 08 03"),
        (b"PK\x03\x04" + IMAGE, "begins with 50 4b 03 04"),
        (idx(pixels(12, 4, 6), 0x0D), "expected IDX of unsigned bytes (0x08), found float32"),
        (idx(pixels(12, 4, 6), 0x33), "found type 0x33"),
        (idx(pixels(12, 24)), "expected an array of rank 3, found rank 2"),
        (IMAGE[:10], "truncated in its header"),
        (IMAGE[:-1], "truncated"),
        (IMAGE + b"\0", "found more behind them"),
        (idx(pixels(11, 4, 6)), "has 12 labels, and"),
        (b"\0\0\x08\x03" + struct.pack(">3I", 2**32 - 1, 2**32 - 1, 2**32 - 1), "truncated"),
    ],
    ids=[
        "empty",
        "magic",
        "float",
        "unknown type",
        "rank",
        "header",
        "short",
        "long",
        "count",
        "huge",
    ],
)
def test_refuses_a_damaged_file(tmp_path: Path, packed: bool, data: bytes, said: str) -> None:
    idx_folder(tmp_path, packed=packed)
    put(tmp_path / IMAGES["train"], data, packed)
    message = refused(tmp_path)
    assert said in message
    assert IMAGES["train"] in message


def test_says_how_much_is_missing(tmp_path: Path) -> None:
    idx_folder(tmp_path, packed=True)
    put(tmp_path / IMAGES["train"], IMAGE[:-8], packed=True)
    assert "expected 288 bytes of data, found 280" in refused(tmp_path)


@pytest.mark.parametrize("damage", ["truncated", "checksum", "not gzip"])
def test_refuses_a_damaged_gzip(tmp_path: Path, damage: str) -> None:
    idx_folder(tmp_path, packed=True)
    path = tmp_path / f"{IMAGES['train']}.gz"
    data = bytearray(path.read_bytes())
    if damage == "checksum":
        data[-8] ^= 1
    path.write_bytes(
        {"truncated": bytes(data[:-20]), "checksum": bytes(data), "not gzip": IMAGE}[damage]
    )
    message = refused(tmp_path)
    assert f"{path}: not a readable IDX file" in message


def test_refuses_one_file_of_a_pair(tmp_path: Path) -> None:
    idx_folder(tmp_path)
    (tmp_path / LABELS["t10k"]).unlink()
    assert f"{IMAGES['t10k']} is there without {LABELS['t10k']}" in refused(tmp_path)


def test_refuses_labels_and_images_that_do_not_fit_the_model(tmp_path: Path) -> None:
    idx_folder(tmp_path)
    with pytest.raises(DataError, match=r"samples of \[4, 6\], and .* input is \[6, 4, 1\]"):
        read_dataset(str(tmp_path), (6, 4, 1), (10,))
    with pytest.raises(DataError, match="label 5 at index 5, and labels are 0 to 4"):
        read_dataset(str(tmp_path), SIZES, (5,))
    idx_folder(tmp_path / "none", train=0)
    put(tmp_path / "none" / IMAGES["t10k"], idx(pixels(0, 4, 6)))
    put(tmp_path / "none" / LABELS["t10k"], idx(labels(0)))
    assert "has no samples" in refused(tmp_path / "none")


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    idx_folder(tmp_path, packed=True)
    with gzip.open(tmp_path / f"{IMAGES['train']}.gz", "wb") as file:
        file.write(IMAGE)
        for _ in range(64):
            file.write(bytes(2**20))
    tracemalloc.start()
    try:
        assert "found more behind them" in refused(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
def test_memory_stays_near_the_data(tmp_path: Path, packed: bool) -> None:
    x = np.tile(pixels(1, 64, 64), (4096, 1, 1))
    put(tmp_path / IMAGES["train"], idx(x), packed)
    put(tmp_path / LABELS["train"], idx(labels(len(x))), packed)
    tracemalloc.start()
    try:
        data = read_dataset(str(tmp_path), (64, 64, 1), (10,))
        data.fingerprint()
        assert tracemalloc.get_traced_memory()[1] < x.nbytes + 4 * 2**20
    finally:
        tracemalloc.stop()


@given(at=st.integers(0, len(IMAGE) - 1), value=st.integers(0, 255), cut=st.booleans())
def test_any_damage_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, at: int, value: int, cut: bool
) -> None:
    folder = idx_folder(tmp_path_factory.mktemp("idx"))
    data = IMAGE[:at] if cut else IMAGE[:at] + bytes([value]) + IMAGE[at + 1 :]
    (folder / IMAGES["train"]).write_bytes(data)
    try:
        found = read(folder)
    except GraphCNNError:
        return
    assert split(found.train).x.shape == (12, 4, 6, 1)
