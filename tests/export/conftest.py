"""A network with every kind of weight, and where to write it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import graphcnn
from graphcnn import Graph

MODEL = """
name: small
inputs: {image: [12, 12, 3]}
blocks:
  unit:
    layers:
      - Conv2D: {filters: 16, kernel_size: 3, padding: same, name: conv}
      - BatchNormalization: {name: norm}
      - ReLU: {name: act}
layers:
  - unit: {name: one}
  - unit: {name: two}
  - MaxPooling2D: {name: pool}
  - Dropout: {rate: 0.5, name: drop}
  - Flatten: {name: flat}
  - Dense: {units: 10, activation: softmax, name: scores}
"""


@pytest.fixture
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    """The network."""
    path = tmp_path_factory.mktemp("model") / "small.yaml"
    path.write_text(MODEL)
    return graphcnn.load(path)


@pytest.fixture
def arrays(graph: Graph) -> dict[str, np.ndarray]:
    """Weights for it, with variances that are positive."""
    rng = np.random.default_rng(0)
    return {
        name: rng.uniform(0.1, 1, spec.shape).astype(np.float32)
        for name, spec in graph.weights.items()
    }


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The file to write, in a folder of its own."""
    return tmp_path / "small.onnx"
