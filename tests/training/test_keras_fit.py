"""A training gives the weights that Keras gives for the same batches."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphcnn.weights import WeightStore

from .small import PLAIN, dataset, graph_of, trained

# Keras 3.15 with TensorFlow 2.21 converts its variables in a way that numpy 2 calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

NORMALIZED = """
inputs: {image: [8, 8, 1]}
layers:
  - Rescaling: {scale: 0.004166666666666667}
  - Conv2D:
      filters: 4
      kernel_size: 3
      strides: 2
      use_bias: false
      kernel_regularizer: {l2: 0.01}
      name: conv
  - BatchNormalization: {beta_regularizer: {l1: 0.001}, name: norm}
  - ReLU
  - Flatten
  - Dense: {units: 10, activation: softmax, bias_regularizer: {l1_l2: {l1: 0.01}}, name: scores}
train: {epochs: 2, batch_size: 32}
"""
"""Statistics and regularizers; 300 samples are nine batches and one of 12."""

WEIGHTS = {3: 2.5, 7: 0.0}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True}),
        ("Adam", {"learning_rate": 0.005}),
        ("RMSprop", {"learning_rate": 0.002}),
    ],
)
def test_twenty_steps(name: str, options: Mapping[str, Any], tmp_path: Path) -> None:
    from graphcnn.engine import keras
    from graphcnn.training import to_keras
    from graphcnn.training.feed import Feed

    graph, data = graph_of(NORMALIZED), dataset()
    weighed = name == "SGD"
    changes = {
        "optimizer": {name.lower(): options},
        "seed": 5,
        "class_weight": WEIGHTS if weighed else None,
    }
    result = trained(tmp_path, graph, data, changes=changes)

    assert data.train
    feed = Feed(data.train.x, data.train.y, np.arange(300))
    model = to_keras(graph, WeightStore.random(graph.weights, 5))
    optimizer = getattr(keras.optimizers, name)(**options)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    every = {label: WEIGHTS.get(label, 1.0) for label in range(10)} if weighed else None
    for epoch in (1, 2):
        sizes, losses = [], []
        for x, y, _ in feed.epoch(5, epoch, 32, 10):
            model.reset_metrics()
            losses.append(float(model.train_on_batch(x, y, class_weight=every)))
            sizes.append(len(y))
        assert sizes == [*[32] * 9, 12]
        expected = np.average(losses, weights=sizes)
        assert result.history[epoch - 1]["loss"] == pytest.approx(expected, rel=1e-4)
    assert result.weights is not None
    model.save_weights(tmp_path / "keras.weights.h5")
    theirs = WeightStore.read(tmp_path / "keras.weights.h5", graph.weights_by_node)
    assert theirs.keys() == result.weights.keys()
    for weight, expected in theirs.items():
        np.testing.assert_allclose(
            result.weights[weight].load(), expected.load(), rtol=1e-4, atol=1e-5, err_msg=weight
        )
        first = WeightStore.random(graph.weights, 5)[weight].load()
        assert np.abs(expected.load() - first).max() > 0.01, weight


def test_the_penalty_is_in_the_loss(tmp_path: Path) -> None:
    """With a rate of nothing the loss with a penalty is the loss without it, and the penalty."""
    still = {"optimizer": {"sgd": {"learning_rate": 1e-44}}, "epochs": 1, "validation_split": 60}
    text = PLAIN.replace("activation: relu", "activation: relu, kernel_regularizer: {l2: 0.5}")
    (plain,) = trained(tmp_path / "a", PLAIN, changes=still).history
    (more,) = trained(tmp_path / "b", text, changes=still).history
    kernel = WeightStore.random(graph_of(PLAIN).weights, 0)["conv/kernel"].load()
    penalty = 0.5 * float((kernel**2).sum())
    assert penalty > 0.5
    for key in ("loss", "val_loss"):
        assert more[key] - plain[key] == pytest.approx(penalty, rel=1e-5)
