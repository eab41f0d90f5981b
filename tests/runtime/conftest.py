"""Small compiled models, each in a folder of its own test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import graphcnn
from graphcnn.graph import Graph
from graphcnn.initializers import Constant
from graphcnn.ops import Add, Conv2D, Dense, Flatten, Softmax

BY_HAND = ["0000000", "0101210", "0022010", "0110210", "0021100", "0211200", "0000000"]
KERNEL = ((0.0, 0.0, -1.0), (0.0, 1.0, 0.0), (-2.0, 0.0, 2.0))


@pytest.fixture
def hand_image() -> np.ndarray:
    """The 7x7 image of the example worked by hand, uint8."""
    return np.array([[int(digit) for digit in row] for row in BY_HAND], np.uint8)


@pytest.fixture
def by_hand(tmp_path: Path) -> Path:
    """One 3x3 convolution with bias 1 on a 7x7x1 image."""
    graph = Graph("convolution_by_hand")
    kernel, bias = Constant(value=KERNEL), Constant(value=1.0)
    layer = Conv2D(filters=1, kernel_size=3, kernel_initializer=kernel, bias_initializer=bias)
    graph.outputs["conv"] = graph.add(layer, graph.input("image", (7, 7, 1)), name="conv")
    graphcnn.compile(graph, tmp_path / "by_hand.onnx", seed=0)
    return tmp_path / "by_hand.onnx"


@pytest.fixture
def classifier(tmp_path: Path) -> Path:
    """A flatten and a dense layer with softmax: 6x4x3 to 10 scores."""
    graph = Graph("classifier")
    rows = graph.add(Flatten(), graph.input("photo", (6, 4, 3)))
    dense = graph.add(Dense(units=10), rows, name="logits")
    graph.outputs["scores"] = graph.add(Softmax(), dense, name="scores")
    graphcnn.compile(graph, tmp_path / "classifier.onnx", seed=0)
    return tmp_path / "classifier.onnx"


@pytest.fixture
def two_inputs(tmp_path: Path) -> Path:
    """The sum of `a` and `b`, of 4 numbers each, named with a slash."""
    graph = Graph("two")
    pair = [graph.input("a", (4,)), graph.input("b", (4,))]
    graph.outputs["block/sum"] = graph.add(Add(), pair, name="block/sum")
    graphcnn.compile(graph, tmp_path / "two.onnx", seed=0)
    return tmp_path / "two.onnx"
