"""CIFAR-10's batches: what is read, and that nothing in them is executed."""

from __future__ import annotations

import io
import pickle
import struct
import tarfile
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphcnn.datasets import Dataset, cifar, read_dataset
from graphcnn.datasets.pickled import read_pickle
from graphcnn.errors import DataError

from .files import (
    NAMES,
    archive,
    array_pickle,
    batch,
    cifar_files,
    cifar_folder,
    dictionary,
    meta,
    number,
    pixels,
)

FILES = cifar_files()


def read(path: Path) -> Dataset:
    return read_dataset(str(path), (32, 32, 3), (10,))


def refused(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read(path)
    return str(caught.value)


def check(data: Dataset) -> None:
    assert data.train is not None
    assert data.test is not None
    expected = np.concatenate([pixels(3, 32, 32, 3, seed=seed) for seed in range(5)])
    assert np.array_equal(data.train.x, expected)
    assert data.train.x.dtype == np.uint8
    assert data.train.x.flags.c_contiguous
    assert data.train.y.tolist() == [0, 1, 2, 1, 2, 3, 2, 3, 4, 3, 4, 5, 4, 5, 6]
    assert data.train.y.dtype == np.int64
    assert np.array_equal(data.test.x, pixels(3, 32, 32, 3, seed=5))
    assert data.test.y.tolist() == [5, 6, 7]
    assert data.classes == NAMES


def test_the_made_up_batches_are_pickles_that_numpy_reads() -> None:
    found = pickle.loads(FILES["data_batch_1"], encoding="bytes")  # Made above, in this process.
    rows = pixels(3, 32, 32, 3).transpose(0, 3, 1, 2).reshape(3, -1)
    assert np.array_equal(found[b"data"], rows)
    assert found[b"labels"] == [0, 1, 2]


def test_reads_a_folder_and_the_folder_it_is_in(tmp_path: Path) -> None:
    cifar_folder(tmp_path / "cifar-10-batches-py", FILES)
    check(read(tmp_path / "cifar-10-batches-py"))
    check(read(tmp_path))
    assert read(tmp_path).source == str(tmp_path)


@pytest.mark.parametrize(
    ("suffix", "mode"),
    [(".tar.gz", "w:gz"), (".tgz", "w:gz"), (".tar.xz", "w:xz"), (".tar", "w")],
)
def test_reads_an_archive_in_any_order(tmp_path: Path, suffix: str, mode: str) -> None:
    files = {"readme.html": b"...", **dict(reversed(FILES.items()))}
    check(read(archive(tmp_path / f"cifar{suffix}", files, mode)))


def test_reads_one_split_alone(tmp_path: Path) -> None:
    files = {name: FILES[name] for name in ("test_batch", "batches.meta")}
    data = read(cifar_folder(tmp_path, files))
    assert data.train is None
    assert data.test is not None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data_batch_3": None}, "data_batch_3 missing"),
        ({"batches.meta": None}, "batches.meta is missing"),
        (dict.fromkeys([*FILES][1:]), "no batches in it"),
        ({"data_batch_2": FILES["data_batch_2"][:-100]}, "data_batch_2: truncated"),
        ({"data_batch_2": b""}, "data_batch_2: truncated"),
        ({"data_batch_2": b"\x80\x02."}, "data_batch_2: not a readable pickle"),
        ({"data_batch_2": b"\x80\x02}."}, "expected a dictionary with data and labels"),
        (
            {"data_batch_2": batch(pixels(2, 32, 32, 3), [0, 1])},
            "data_batch_2 has 2 images, and the batches before have 3",
        ),
        ({"test_batch": batch(pixels(3, 32, 32, 3), [0, 1])}, "2 labels, and 3 images"),
        ({"test_batch": batch(pixels(3, 16, 32, 3), [0, 1, 2])}, "rows of 3072 bytes, found 1536"),
        (
            {"test_batch": batch(pixels(3, 32, 32, 3), [0, 1, 77])},
            "test data: label 77 at index 2, and labels are 0 to 9",
        ),
        ({"batches.meta": meta(NAMES[:9])}, "9 class names, and the model tells 10"),
        ({"batches.meta": dictionary({b"names": b"N"})}, "a dictionary with label_names"),
        ({"batches.meta": dictionary({b"label_names": b"](\x4b\x01e"})}, "a list of texts"),
        ({"batches.meta": meta([*NAMES[:9], "\x07"])}, r"a class is called '\x07'"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_refuses_what_is_not_cifar(
    tmp_path: Path, changes: dict[str, bytes | None], said: str
) -> None:
    files = {name: data for name, data in {**FILES, **changes}.items() if data is not None}
    assert said in refused(cifar_folder(tmp_path / "folder", files))
    assert said in refused(archive(tmp_path / "cifar.tar", files, "w"))


class _Evil:
    """Makes a pickle that calls something."""

    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call


def _protocol2(value: Any) -> bytes:
    return pickle.dumps(value, 2)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (_protocol2(_Evil(print, ("run",))), "asks for '__builtin__.print'"),
        (_protocol2({"data": _Evil(Path, ("x",))}), "instruction b'X', which is not read"),
        (b"\x80\x02cos\nsystem\nU\x04true\x85R.", "asks for 'os.system'"),
        (b"\x80\x02cnumpy\nload\nU\x01x\x85R.", "asks for 'numpy.load'"),
        (b"\x80\x02cnumpy\ndtype.newbyteorder\n.", "asks for 'numpy.dtype.newbyteorder'"),
        (b"cos\nsystem\n(U\x04trueo.", "asks for 'os.system'"),
        (b"(ios\nsystem\n.", "instruction b'i'"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "instruction b'\\x8c'"),
        (b"\x80\x02]r\xff\xff\xff\x7f.", "expected a dictionary"),
        (b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b".", "instruction b'\\x96'"),
        (b"\x80\x02T\xff\xff\xff\x7f.", "truncated"),
        (b"\x80\x02T\xff\xff\xff\xff.", "truncated"),
        (b"\x80\x02U\x09.", "truncated"),
        (b"\x80\x02" + b"]" * 200_000 + b".", "more than 200,000 instructions"),
        (b"\x80\x02]q\x00h\x00\x86.", "instruction b'h'"),
        (b"\x80\x02cnumpy\ndtype", "not a readable pickle"),
        (b"\x80\x02e.", "not a readable pickle"),
        (b"\x80\x02}(K\x01u.", "not a readable pickle"),
        (b"\x80\x02}(]K\x01u.", "not a readable pickle"),
        (b"\x80\x02K\x01(K\x01e.", "not a readable pickle"),
        (b"\x80\x02]]b.", "not a readable pickle"),
        (b"\x80\x02K\x01K\x02.", "not a readable pickle"),
    ],
    ids=range(22),
)
def test_a_hostile_pickle_runs_nothing_and_takes_no_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: bytes, said: str
) -> None:
    folder = cifar_folder(tmp_path, {**FILES, "data_batch_1": data})
    tracemalloc.start()
    try:
        assert said in refused(folder)
        assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    finally:
        tracemalloc.stop()
    assert capsys.readouterr().out == ""


ROW = array_pickle(np.zeros((1, 3072), np.uint8))


@pytest.mark.parametrize(
    "array",
    [
        b"K\x05",
        array_pickle(np.zeros((1, 3072), np.uint8), dtype=b"O8"),
        array_pickle(np.zeros((1, 3072), np.uint8), dtype=b"f4"),
        ROW.replace(number(3072), number(3071)),
        ROW.replace(number(3072), number(-3072)).replace(number(1), number(-1)),
        ROW.replace(number(1) + number(3072) + b"\x86", number(3072) + b"\x85"),
        ROW.replace(b"cnumpy\nndarray\n", b"cnumpy\ndtype\n"),
        ROW.replace(b"_reconstruct\n", b"_reconstruct\n0", 1),
    ],
    ids=["integer", "objects", "floats", "short", "negative", "rank", "type", "garbled"],
)
def test_arrays_of_other_kinds_are_refused(tmp_path: Path, array: bytes) -> None:
    files = {**FILES, "test_batch": dictionary({b"labels": b"](K\x00K\x01e", b"data": array})}
    assert "test_batch: " in refused(cifar_folder(tmp_path, files))


@given(at=st.integers(0, 9500), value=st.integers(0, 255), cut=st.booleans())
def test_any_damage_to_a_pickle_is_read_or_refused(at: int, value: int, cut: bool) -> None:
    data = FILES["test_batch"]
    at %= len(data)
    data = data[:at] if cut else data[:at] + bytes([value]) + data[at + 1 :]
    try:
        cifar._batch(read_pickle(memoryview(data), "test"), "test")
    except DataError:
        assert cut or data != FILES["test_batch"]


def test_links_in_an_archive_are_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "cifar.tar"
    cifar_folder(tmp_path, FILES)
    with tarfile.open(path, "w") as tar:
        for name in FILES:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, str(tmp_path / name)
            tar.addfile(member)
    assert "no batches in it" in refused(path)


def test_refuses_damaged_archives(tmp_path: Path) -> None:
    good = archive(tmp_path / "good.tar.gz", FILES).read_bytes()
    changed = bytearray(good)
    changed[-8] ^= 1
    for name, data in {
        "cut.tar.gz": good[: len(good) // 2],
        "checksum.tar.gz": bytes(changed),
        "other.tar.gz": b"not an archive",
        "other.tar": b"not an archive",
        "empty.tar": b"",
        "other.tar.xz": good,
    }.items():
        (tmp_path / name).write_bytes(data)
        assert f"{tmp_path / name}: not a readable archive" in refused(tmp_path / name)


def test_refuses_a_name_that_an_archive_has_twice(tmp_path: Path) -> None:
    path = tmp_path / "cifar.tar"
    with tarfile.open(path, "w") as tar:
        for folder in "ab":
            member = tarfile.TarInfo(f"{folder}/batches.meta")
            member.size = len(FILES["batches.meta"])
            tar.addfile(member, io.BytesIO(FILES["batches.meta"]))
    assert "batches.meta is in it twice" in refused(path)


def test_refuses_archives_that_unpack_to_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = archive(tmp_path / "cifar.tar.gz", {"readme.html": bytes(2**22), **FILES})
    check(read(path))
    monkeypatch.setattr(cifar, "_LARGEST_ARCHIVE", 2**21)
    assert "unpacks to more than 2,097,152 bytes" in refused(path)


def test_refuses_large_files_and_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(
        tmp_path / "many.tar", {**FILES, **dict.fromkeys(map(str, range(2000)), b"")}, "w"
    )
    assert "more than 1,000 files" in refused(path)
    monkeypatch.setattr(cifar, "_LARGEST_FILE", 9000)
    said = "data_batch_1: 9,382 bytes, and at most 9,000"
    assert said in refused(cifar_folder(tmp_path / "folder", FILES))
    assert said in refused(archive(tmp_path / "cifar.tar", FILES, "w"))


def test_memory_stays_near_the_data_and_one_batch(tmp_path: Path) -> None:
    each = 1000
    path = archive(tmp_path / "cifar.tar", cifar_files(each), "w")
    tracemalloc.start()
    try:
        read(path)
        most = (6 + 1) * each * 3072
        assert tracemalloc.get_traced_memory()[1] < most + 3 * 2**20
    finally:
        tracemalloc.stop()
