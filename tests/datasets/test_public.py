"""Public names: keras.datasets does the fetching."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from graphcnn.datasets import read_dataset
from graphcnn.errors import DataError, MissingExtra

from .files import IMAGES, LABELS, idx, labels, pixels, put


def keras_with(monkeypatch: pytest.MonkeyPatch, load: Callable[[], Any]) -> None:
    """A Keras whose cifar10 and mnist are fetched by `load`."""
    sets = SimpleNamespace(
        cifar10=SimpleNamespace(load_data=load), mnist=SimpleNamespace(load_data=load)
    )
    engine = ModuleType("graphcnn.engine")
    engine.keras = SimpleNamespace(datasets=sets)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "graphcnn.engine", engine)


def test_cifar10_has_its_classes_and_is_contiguous(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load() -> Any:
        print("Downloading data from ...")
        splits = [(pixels(n, 3, 32, 32).transpose(0, 2, 3, 1), labels(n)[:, None]) for n in (4, 2)]
        return tuple(splits)

    keras_with(monkeypatch, load)
    data = read_dataset("cifar10", (32, 32, 3), (10,))
    assert data.train is not None
    assert data.train.x.flags.c_contiguous
    assert np.array_equal(data.train.x, pixels(4, 3, 32, 32).transpose(0, 2, 3, 1))
    assert data.train.y.tolist() == [0, 1, 2, 3]
    assert data.classes[0] == "airplane"
    assert len(data.classes) == 10
    assert data.source == "cifar10"
    assert capsys.readouterr().out == ""


def test_a_failure_to_fetch_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def load() -> Any:
        raise OSError("URL fetch failure on https://...\nmore")

    keras_with(monkeypatch, load)
    with pytest.raises(DataError) as caught:
        read_dataset("mnist", (28, 28, 1))
    assert (
        "mnist cannot be fetched by keras.datasets: URL fetch failure on https://...\n  hint"
        in (str(caught.value))
    )


def test_without_keras_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "graphcnn.engine", raising=False)
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(MissingExtra, match=r"graphcnn\[train\]"):
        read_dataset("mnist", (28, 28, 1))


def test_a_folder_of_that_name_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras", None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mnist").mkdir()
    np.savez(tmp_path / "mnist" / "a.npz", x=1)
    with pytest.raises(DataError, match=r"name the file itself: mnist/a\.npz"):
        read_dataset("mnist", (28, 28, 1))
    with pytest.raises(DataError, match="no such file or folder"):
        read_dataset("./fashion_mnist", (28, 28, 1))


CHILD = """
import sys
import keras.src.datasets.mnist as mnist
from graphcnn.datasets import read_dataset

# Keras compares the digest of this one with that of the real file.
mnist.get_file = lambda **_: sys.argv[1]
for name in ("fashion_mnist", "mnist"):
    data = read_dataset(name, (28, 28, 1), (10,))
    print(name, data.train.x.shape, data.train.x.dtype, data.test.y.tolist(), data.classes[-1:])
"""


def test_keras_itself_reads_what_it_has_cached(tmp_path: Path) -> None:
    folder = tmp_path / "datasets" / "fashion-mnist"
    folder.mkdir(parents=True)
    for split, count in (("train", 6), ("t10k", 3)):
        put(folder / IMAGES[split], idx(pixels(count, 28, 28)), packed=True)
        put(folder / LABELS[split], idx(labels(count)), packed=True)
    mnist = tmp_path / "mnist.npz"
    np.savez(
        mnist,
        x_train=pixels(4, 28, 28),
        y_train=labels(4),
        x_test=pixels(2, 28, 28),
        y_test=labels(2),
    )
    environment = {**os.environ, "KERAS_HOME": str(tmp_path), "TF_CPP_MIN_LOG_LEVEL": "3"}
    found = subprocess.run(
        [sys.executable, "-c", CHILD, str(mnist)], env=environment, capture_output=True, text=True
    )
    assert found.stdout.splitlines() == [
        "fashion_mnist (6, 28, 28, 1) uint8 [0, 1, 2] ('Ankle boot',)",
        "mnist (4, 28, 28, 1) uint8 [0, 1] ()",
    ], found.stderr
