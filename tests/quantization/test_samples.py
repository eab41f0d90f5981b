"""What ranges are measured on, and what losses are measured on."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

import graphcnn
from graphcnn.errors import DataError, GraphCNNError
from graphcnn.quantization.samples import Rows, Samples, read_samples
from graphcnn.runtime.predict import Predictor

from .networks import network, saved

LAYERS = "  - Flatten\n  - Dense: {units: 3, activation: softmax}\n"


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    folder = tmp_path_factory.mktemp("model")
    graph = network(folder / "model.yaml", LAYERS, "[4, 4, 1]")
    graphcnn.compile(graph, folder / "model.onnx")
    return Predictor(folder / "model.onnx")


def numbered(count: int, first: int = 0) -> np.ndarray:
    """Samples that say which they are."""
    order = np.arange(first, first + count, dtype=np.float32)
    return np.broadcast_to(order[:, None, None], (count, 4, 4)).copy()


def numbers(rows: Rows) -> list[int]:
    return rows[: len(rows)][:, 0, 0, 0].astype(int).tolist()


def test_both_splits(predictor: Predictor, tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    labels = np.arange(30) % 3
    np.savez(path, x_train=numbered(40), y_train=np.arange(40) % 3,
             x_test=numbered(30, 100), y_test=labels)  # fmt: skip
    found = read_samples(str(path), predictor, 10)
    assert len(found.calibration) == 10
    assert set(numbers(found.calibration)) < set(range(40))
    order = numbers(found.held_out)
    assert sorted(order) == list(range(100, 130))
    assert found.labels is not None
    assert found.labels.tolist() == [labels[number - 100] for number in order]
    assert found.split == "the test split"
    assert len(read_samples(str(path), predictor, 1000).calibration) == 40


def test_the_first_held_out_are_of_all_classes(predictor: Predictor, tmp_path: Path) -> None:
    """Damage is measured on the first few, and folders are read class by class."""
    path = tmp_path / "data.npz"
    labels = np.repeat(np.arange(3), 30)
    for parts in ({"x_train": numbered(9), "y_train": np.arange(9) % 3}, {}):
        np.savez(path, x_test=numbered(90), y_test=labels, **parts)
        found = read_samples(str(path), predictor, 10)
        assert found.labels is not None
        assert set(found.labels[:15].tolist()) == {0, 1, 2}
        assert [labels[number] for number in numbers(found.held_out)] == found.labels.tolist()


@pytest.mark.parametrize(("split", "name"), [("train", "training"), ("test", "test")])
def test_a_single_split(split: str, name: str, predictor: Predictor, tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, **{f"x_{split}": numbered(41), f"y_{split}": np.arange(41) % 3})
    found = read_samples(str(path), predictor, 1000)
    assert found.split == f"half of the {name} split"
    first, second = numbers(found.calibration), numbers(found.held_out)
    assert sorted(first + second) == list(range(41))
    assert (len(first), len(second)) == (20, 21)
    assert found.labels is not None
    assert found.labels.tolist() == [number % 3 for number in second]
    few = read_samples(str(path), predictor, 5)
    assert len(few.calibration) == 5
    assert set(numbers(few.calibration)).isdisjoint(numbers(few.held_out))


def test_samples_without_labels(predictor: Predictor, tmp_path: Path) -> None:
    source = saved(tmp_path, numbered(20)[..., np.newaxis])
    found = read_samples(source, predictor, 100)
    assert found.labels is None
    assert found.split == "half of the samples"
    assert isinstance(found.calibration.array, np.memmap)
    assert sorted(numbers(found.calibration) + numbers(found.held_out)) == list(range(20))
    lacking = read_samples(saved(tmp_path, numbered(20)), predictor, 100)
    assert lacking.calibration[:1].shape == (1, 4, 4, 1)


def test_draws_are_the_seeds(predictor: Predictor, tmp_path: Path) -> None:
    source = saved(tmp_path, numbered(50))

    def drawn(seed: int) -> tuple[list[int], list[int]]:
        found = read_samples(source, predictor, 10, seed)
        return numbers(found.calibration), numbers(found.held_out)

    assert drawn(0) == drawn(0)
    assert drawn(0) != drawn(1)


def test_targets_are_no_labels(predictor: Predictor, tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    targets = np.zeros((20, 3), np.float32)
    np.savez(path, x_train=numbered(20), y_train=targets, x_test=numbered(20), y_test=targets)
    found: Samples = read_samples(str(path), predictor, 4)
    assert found.labels is None


@pytest.mark.parametrize("count", [0, 1])
def test_too_few(count: int, predictor: Predictor, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{count} samples, and at least 2 are needed"):
        read_samples(saved(tmp_path, numbered(count)), predictor, 10)


@pytest.mark.parametrize(
    ("x", "problem"),
    [
        (np.zeros((9, 5, 4, 1)), r"expected samples of \[4, 4, 1\], found \[5, 4, 1\]"),
        (np.zeros((9, 4, 4, 3)), r"found \[4, 4, 3\]"),
        (np.zeros((4, 4)), r"found \[4\]"),
        (np.float32(3), r"found \[\]"),
        (np.zeros((9, 4, 4), bool), "expected numbers, found bool"),
        (np.zeros((9, 4, 4), complex), "expected numbers, found complex128"),
        (np.zeros((9, 4, 4), "M8[s]"), r"expected numbers, found datetime64\[s\]"),
        (np.zeros((9, 4, 4), "S3"), r"expected numbers"),
    ],
)
def test_arrays_that_do_not_fit(
    x: np.ndarray, problem: str, predictor: Predictor, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=problem):
        read_samples(saved(tmp_path, x), predictor, 10)


class Bomb:
    def __reduce__(self) -> object:
        return print, ("executed",)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x93NUMPY", b"not numpy at all", pickle.dumps(Bomb())],
    ids=["empty", "cut off", "text", "pickle"],
)
def test_files_that_are_no_arrays(
    content: bytes, predictor: Predictor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "data.npy"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"data\.npy: not a \.npy file of numbers"):
        read_samples(str(path), predictor, 10)
    assert capsys.readouterr().out == ""


def test_objects_are_refused(
    predictor: Predictor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "data.npy", np.array([Bomb()] * 4, object), allow_pickle=True)
    with pytest.raises(DataError, match=r"not a \.npy file of numbers"):
        read_samples(str(tmp_path / "data.npy"), predictor, 10)
    assert capsys.readouterr().out == ""


def test_files_that_cannot_be_read(predictor: Predictor, tmp_path: Path) -> None:
    whole = Path(saved(tmp_path, numbered(9), "whole.npy")).read_bytes()
    (tmp_path / "cut.npy").write_bytes(whole[:-40])
    (tmp_path / "folder.npy").mkdir()
    np.savez(tmp_path / "several", a=numbered(9))
    (tmp_path / "several.npz").rename(tmp_path / "several.npy")
    for name in ("missing", "cut", "folder", "several"):
        with pytest.raises(GraphCNNError, match=rf"{name}\.npy"):
            read_samples(str(tmp_path / f"{name}.npy"), predictor, 10)
