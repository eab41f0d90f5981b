"""Results that can be worked out by hand, from the textbooks' examples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphcnn
from graphcnn.graph import Graph
from graphcnn.initializers import Constant
from graphcnn.ops import AveragePooling2D, Conv2D, MaxPooling2D, Op
from tests.onnx_checks import run

from .samples import single

COUNT = np.arange(9.0).reshape(3, 3)
KERNELS = np.array([[[0, 1], [2, 3]], [[1, 2], [3, 4]]])
"""One kernel a channel."""


def result(op: Op, picture: Any, folder: Path) -> Any:
    """What the compiled operator makes of one picture, (height, width) or with channels last."""
    picture = np.asarray(picture, np.float32)
    picture = picture if picture.ndim == 3 else picture[..., None]
    path = folder / "known.onnx"
    graphcnn.compile(single(op, picture.shape), path)
    value = run(path, {"x0": picture[None]})["y"][0]
    return value[..., 0].tolist() if value.shape[-1] == 1 else value.tolist()


def constant(kernel: Any) -> Constant:
    """An initializer of fixed values, HWIO or with axes of 1 left out."""
    return Constant(value=np.asarray(kernel, float).tolist())


def conv(kernel: Any, **options: Any) -> Conv2D:
    """A convolution with one fixed filter of one channel and no bias."""
    kernel = np.asarray(kernel, float)
    size = tuple(kernel.shape)
    return Conv2D(
        filters=1, kernel_size=size, kernel_initializer=constant(kernel), use_bias=False, **options
    )


def test_one_channel(tmp_path: Path) -> None:
    assert result(conv([[0, 1], [2, 3]]), COUNT, tmp_path) == [[19, 25], [37, 43]]


def test_two_channels(tmp_path: Path) -> None:
    kernel = np.moveaxis(KERNELS, 0, -1)[..., None]
    op = Conv2D(filters=1, kernel_size=2, kernel_initializer=constant(kernel))
    picture = np.stack([COUNT, COUNT + 1], axis=-1)
    assert result(op, picture, tmp_path) == [[56, 72], [104, 120]]


def test_several_filters(tmp_path: Path) -> None:
    filters = np.stack([np.moveaxis(KERNELS + more, 0, -1) for more in range(3)], axis=-1)
    op = Conv2D(filters=3, kernel_size=2, kernel_initializer=constant(filters))
    picture = np.stack([COUNT, COUNT + 1], axis=-1)
    found = np.moveaxis(np.asarray(result(op, picture, tmp_path)), -1, 0)
    assert found.reshape(3, 4).tolist() == [
        [56, 72, 104, 120],
        [76, 100, 148, 172],
        [96, 128, 192, 224],
    ]


def test_a_constant_kernel_with_bias(tmp_path: Path) -> None:
    rows = ["0000000", "0101210", "0022010", "0110210", "0021100", "0211200", "0000000"]
    op = Conv2D(
        filters=1,
        kernel_size=3,
        kernel_initializer=constant([[0, 0, -1], [0, 1, 0], [-2, 0, 2]]),
        bias_initializer=Constant(value=1.0),
    )
    assert result(op, [[int(digit) for digit in row] for row in rows], tmp_path) == [
        [6, 5, -2, 1, 2],
        [3, 0, 3, 2, -2],
        [4, 2, -1, 0, 0],
        [2, 1, 2, -1, -3],
        [1, 1, 1, 3, 1],
    ]


def test_edges(tmp_path: Path) -> None:
    picture = np.ones((6, 8))
    picture[:, 2:6] = 0
    assert result(conv([[1, -1]]), picture, tmp_path) == [[0, 1, 0, 0, 0, -1, 0]] * 6


@pytest.mark.parametrize(
    ("op", "picture", "expected"),
    [
        (MaxPooling2D(pool_size=2, strides=1), COUNT, [[4, 5], [7, 8]]),
        (AveragePooling2D(pool_size=2, strides=1), COUNT, [[2, 3], [5, 6]]),
        (
            MaxPooling2D(pool_size=3, strides=2, padding="same"),
            np.arange(16).reshape(4, 4),
            [[10, 11], [14, 15]],
        ),
        (
            MaxPooling2D(pool_size=(2, 3), strides=(2, 3), padding="same"),
            np.arange(16).reshape(4, 4),
            [[5, 7], [13, 15]],
        ),
    ],
    ids=["max", "average", "same-3x3-by-2", "same-2x3-by-2x3"],
)
def test_pooling(op: Op, picture: Any, expected: Any, tmp_path: Path) -> None:
    assert result(op, picture, tmp_path) == expected


@pytest.mark.parametrize(
    ("op", "sizes"),
    [
        (Conv2D(filters=1, kernel_size=(3, 5), strides=(3, 4)), (2, 1)),
        (Conv2D(filters=1, kernel_size=3, strides=2, padding="same"), (4, 4)),
        (Conv2D(filters=1, kernel_size=3, padding=1), (8, 8)),
        (Conv2D(filters=1, kernel_size=(5, 3), padding=(2, 1)), (8, 8)),
        (Conv2D(filters=1, kernel_size=(3, 5), padding=(0, 1), strides=(3, 4)), (2, 2)),
    ],
)
def test_sizes_of_an_8x8_image(op: Conv2D, sizes: tuple[int, int]) -> None:
    graph: Graph = single(op, (8, 8, 1))
    assert graph.type("y").spatial == sizes
