"""The published files, where GRAPHCNN_DATA says where they are."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from graphcnn.datasets import read_dataset

from .files import NAMES

MNIST = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
MNIST_TEST = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@pytest.fixture
def folder() -> Path:
    if "GRAPHCNN_DATA" not in os.environ:
        pytest.skip("GRAPHCNN_DATA is unset: it names the folder of mnist/, fashion_mnist/, ...")
    return Path(os.environ["GRAPHCNN_DATA"])


@pytest.mark.parametrize(
    ("name", "shape", "counts", "test_counts", "classes", "mean"),
    [
        ("mnist", (28, 28, 1), MNIST, MNIST_TEST, (), (33.3184,)),
        ("fashion_mnist", (28, 28, 1), [6000] * 10, [1000] * 10, (), (72.9404,)),
        (
            "cifar10/cifar-10-python.tar.xz",
            (32, 32, 3),
            [5000] * 10,
            [1000] * 10,
            NAMES,
            (125.3069, 122.9504, 113.8654),
        ),
    ],
    ids=["mnist", "fashion_mnist", "cifar10"],
)
def test_reads_the_published_files(
    folder: Path,
    name: str,
    shape: tuple[int, ...],
    counts: list[int],
    test_counts: list[int],
    classes: tuple[str, ...],
    mean: tuple[float, ...],
) -> None:
    data = read_dataset(str(folder / name), shape, (10,))
    assert data.train is not None
    assert data.test is not None
    assert data.train.x.shape == (sum(counts), *shape)
    assert data.test.x.shape == (sum(test_counts), *shape)
    assert data.train.x.dtype == data.test.x.dtype == np.uint8
    assert np.bincount(data.train.y).tolist() == counts
    assert np.bincount(data.test.y).tolist() == test_counts
    assert data.classes == classes
    # The published means of the training pixels, channel by channel.
    assert data.train.x.mean(axis=(0, 1, 2)) == pytest.approx(mean, abs=1e-3)
