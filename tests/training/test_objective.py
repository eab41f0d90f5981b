"""What is minimized and reported is what Keras gives for the model with its last activation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphcnn import Graph
from graphcnn.datasets import Dataset
from graphcnn.datasets.dataset import Split
from graphcnn.errors import TrainingError
from graphcnn.options import build, field_values
from graphcnn.recipe import LOSSES, METRICS, Recipe
from graphcnn.recipe.metrics import Accuracy
from graphcnn.weights import WeightStore

from .small import Array, graph_of, trained

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 6)).astype(np.float32)
LABELS = np.arange(12) % 5
BITS = np.arange(12) % 2
TARGETS = RNG.uniform(0.1, 0.9, (12, 5)).astype(np.float32)


def ending(*layers: str) -> Graph:
    """A model of six numbers that ends so."""
    lines = "\n".join(f"  - {layer}" for layer in layers)
    return graph_of(f"inputs: {{x: [6]}}\nlayers:\n  - Dense: {{units: 7}}\n{lines}\n")


SOFTMAX = "Dense: {units: 5, activation: softmax}"
SIGMOIDS = "Dense: {units: 5, activation: sigmoid}"
SIGMOID = "Dense: {units: 1, activation: sigmoid}"
LINEAR = "Dense: {units: 5}"


def losses(graph: Graph, recipe: Recipe, truth: Array) -> tuple[Array, Any]:
    """The loss of each sample as it is trained on, and the gradient of their mean."""
    from graphcnn.engine import tf
    from graphcnn.training.build import build_twin
    from graphcnn.training.objective import choose_objective

    objective = choose_objective(graph, recipe, labels=truth.dtype.kind == "i")
    twin = build_twin(graph, logits=objective.without_activation)
    twin.load(WeightStore.random(graph.weights, 1))
    with tf.GradientTape() as tape:
        output = twin.model(X, training=True)
        found = objective.sample_losses(objective.keras_loss(), tf.constant(truth), output)
        mean = tf.reduce_mean(found)
    gradient = tape.gradient(mean, twin.model.trainable_variables)
    return found.numpy(), [np.asarray(g) for g in gradient]


def keras_losses(graph: Graph, name: str, options: dict[str, Any], truth: Array) -> Any:
    """The same by Keras, from what the model with its last activation gives."""
    from graphcnn.engine import keras, tf
    from graphcnn.training import to_keras

    model = to_keras(graph, WeightStore.random(graph.weights, 1))
    loss = getattr(keras.losses, name)(**options, reduction=None)
    with tf.GradientTape() as tape:
        found = tf.reshape(loss(truth, model(X, training=True)), [len(X), -1])
        mean = tf.reduce_mean(found)
    gradient = tape.gradient(mean, model.trainable_variables)
    return np.mean(found.numpy(), axis=1), [np.asarray(g) for g in gradient]


def one_hot(labels: Array, smoothing: float = 0) -> Array:
    return np.eye(5, dtype=np.float32)[labels] * (1 - smoothing) + smoothing / 5


CASES: list[tuple[list[str], Any, Array, str, dict[str, Any], Array]] = [
    ([SOFTMAX], None, LABELS, "SparseCategoricalCrossentropy", {}, LABELS),
    ([LINEAR, "Softmax"], None, LABELS, "SparseCategoricalCrossentropy", {}, LABELS),
    ([LINEAR, "Softmax: {axis: 1}"], None, LABELS, "SparseCategoricalCrossentropy", {}, LABELS),
    (
        [LINEAR],
        None,
        LABELS,
        "SparseCategoricalCrossentropy",
        {"from_logits": True},
        LABELS,
    ),
    ([SOFTMAX, "Dropout: {rate: 0.0}"], None, LABELS, "SparseCategoricalCrossentropy", {}, LABELS),
    ([SIGMOID], None, BITS, "BinaryCrossentropy", {}, BITS[:, None]),
    (
        ["Dense: {units: 1}"],
        None,
        BITS,
        "BinaryCrossentropy",
        {"from_logits": True},
        BITS[:, None],
    ),
    ([SIGMOIDS], None, LABELS, "BinaryCrossentropy", {}, one_hot(LABELS)),
    ([SIGMOIDS], None, TARGETS, "MeanSquaredError", {}, TARGETS),
    ([LINEAR], None, TARGETS, "MeanSquaredError", {}, TARGETS),
    ([SIGMOIDS], "binary_crossentropy", TARGETS, "BinaryCrossentropy", {}, TARGETS),
    ([SOFTMAX], "mse", LABELS, "MeanSquaredError", {}, one_hot(LABELS)),
    ([SOFTMAX], "binary_crossentropy", LABELS, "BinaryCrossentropy", {}, one_hot(LABELS)),
    (
        [SOFTMAX],
        {"categorical_crossentropy": {"label_smoothing": 0.1}},
        LABELS,
        "CategoricalCrossentropy",
        {},
        one_hot(LABELS, 0.1),
    ),
    (
        [SIGMOID],
        {"binary_focal_crossentropy": {"gamma": 3.0}},
        BITS,
        "BinaryFocalCrossentropy",
        {"gamma": 3.0},
        BITS[:, None],
    ),
    ([SOFTMAX], "kl_divergence", TARGETS, "KLDivergence", {}, TARGETS),
    ([LINEAR], {"huber": {"delta": 0.5}}, TARGETS, "Huber", {"delta": 0.5}, TARGETS),
]


@pytest.mark.parametrize(("ends", "loss", "truth", "name", "options", "theirs"), CASES)
def test_losses_and_gradients_are_those_of_keras(
    ends: list[str], loss: Any, truth: Array, name: str, options: dict[str, Any], theirs: Array
) -> None:
    graph = ending(*ends)
    found, gradient = losses(graph, build(Recipe, {"loss": loss}), truth)
    expected, slope = keras_losses(graph, name, options, theirs)
    assert found.shape == (12,)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    for ours, other in zip(gradient, slope, strict=True):
        np.testing.assert_allclose(ours, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_gives_a_number_for_each_sample(name: str) -> None:
    kind = LOSSES[name].labels
    truth = TARGETS if kind == "any" else LABELS
    found, gradient = losses(ending(SOFTMAX), build(Recipe, {"loss": name}), truth)
    assert found.shape == (12,)
    assert np.isfinite(found).all()
    assert all(np.isfinite(part).all() for part in gradient)
    assert np.abs(gradient[0]).max() > 0


def test_the_loss_of_a_sample_depends_on_no_other() -> None:
    """So that the sum over replicas is that of one."""
    for name in LOSSES:
        truth = TARGETS if LOSSES[name].labels == "any" else LABELS
        recipe = build(Recipe, {"loss": name})
        whole, _ = losses(ending(LINEAR, "Softmax"), recipe, truth)
        changed = truth[::-1].copy()
        changed[0] = truth[0]
        again, _ = losses(ending(LINEAR, "Softmax"), recipe, changed)
        assert whole[0] == pytest.approx(again[0]), name


def test_logits_are_safe_where_probabilities_are_not() -> None:
    graph = graph_of(
        "inputs: {x: [6]}\nlayers:\n"
        "  - Rescaling: {scale: 1000}\n  - Dense: {units: 5, activation: softmax}\n"
    )
    found, gradient = losses(graph, Recipe(), LABELS)
    assert found.max() > 200
    assert np.abs(gradient[0]).max() > 100


class TestChosen:
    @pytest.mark.parametrize(
        ("ends", "from_logits", "without"),
        [
            ([SOFTMAX], True, True),
            ([LINEAR, "Activation: {activation: softmax}"], True, True),
            ([LINEAR], True, False),
            ([SOFTMAX, "Reshape: {target_shape: [5]}"], False, False),
            ([SOFTMAX, "Dropout: {rate: 0.5}"], False, False),
            ([SIGMOIDS], True, True),
        ],
    )
    def test_from_logits(self, ends: list[str], from_logits: bool, without: bool) -> None:
        from graphcnn.training.objective import choose_objective

        objective = choose_objective(ending(*ends), Recipe(), labels=True)
        assert (objective.from_logits, objective.without_activation) == (from_logits, without)

    @pytest.mark.parametrize(
        ("loss", "metrics", "says"),
        [
            ("sparse_categorical_crossentropy", [], "loss SparseCategoricalCrossentropy"),
            ("mse", ["accuracy"], "metric Accuracy"),
            ("mse", ["top_k_categorical_accuracy"], "metric SparseTopKCategoricalAccuracy"),
        ],
    )
    def test_labels_are_needed(self, loss: str, metrics: list[str], says: str) -> None:
        from graphcnn.training.objective import choose_objective

        recipe = build(Recipe, {"loss": loss, "metrics": metrics})
        with pytest.raises(TrainingError, match=f"the {says} takes labels, and the data holds"):
            choose_objective(ending(LINEAR), recipe, labels=False)


def data_of(y: Array) -> Dataset:
    y = y.astype(np.int64) if y.dtype.kind == "i" else y
    return Dataset("made up", Split(np.repeat(X, 4, 0), np.repeat(y, 4, 0)), None, ())


@pytest.mark.parametrize(
    ("ends", "truth", "rows", "names"),
    [
        (SOFTMAX, LABELS, np.repeat(one_hot(LABELS), 4, 0), list(METRICS)),
        (SIGMOID, BITS, np.repeat(BITS, 4)[:, None], ["auc", "precision", "recall"]),
        (LINEAR, TARGETS, np.repeat(TARGETS, 4, 0), ["mae", "mse", "r2_score"]),
    ],
)
def test_metrics_are_those_of_keras(
    ends: str, truth: Array, rows: Array, names: list[str], tmp_path: Path
) -> None:
    """On the samples held back, with the weights that the epoch ends with."""
    from graphcnn.engine import keras
    from graphcnn.training import predict

    graph, data = ending(ends), data_of(truth)
    changes = {"metrics": names, "epochs": 1, "validation_split": 0.5, "batch_size": 7}
    result = trained(tmp_path / "run", graph, data, changes=changes)
    (record,) = result.history
    assert data.train
    held = np.sort(np.random.default_rng((0, 0)).permutation(48)[:24])
    assert result.weights is not None
    scores = predict(graph, result.weights, data.train.x)[held]
    wanted = [name for name in names if METRICS[name] is not Accuracy]
    for name in wanted:
        metric = getattr(keras.metrics, METRICS[name].__name__)(**field_values(METRICS[name]()))
        sparse = METRICS[name].labels == "sparse"
        metric.update_state(data.train.y[held] if sparse else rows[held], scores)
        key = next(k for k, v in METRICS.items() if v is METRICS[name])
        assert record[f"val_{key}"] == pytest.approx(float(metric.result()), rel=1e-4), name
        assert np.isfinite(record[key]), name
    if truth.dtype.kind == "i":
        right = (scores[:, 0] > 0.5) if scores.shape[1] == 1 else scores.argmax(axis=1)
        assert record["val_accuracy"] == pytest.approx(np.mean(right == data.train.y[held]))
    else:
        assert "accuracy" not in record


def test_two_metrics_of_a_kind(tmp_path: Path) -> None:
    metrics = [{"precision": {"class_id": 0}}, {"precision": {"class_id": 1}}, "recall"]
    changes = {"metrics": metrics, "epochs": 1}
    (record,) = trained(tmp_path, ending(SOFTMAX), data_of(LABELS), changes=changes).history
    assert [*record][5:] == ["loss", "accuracy", "precision", "precision_2", "recall"]


def test_a_metric_that_keras_refuses(tmp_path: Path) -> None:
    changes = {"metrics": [{"precision": {"class_id": 9}}], "epochs": 1}
    with pytest.raises(TrainingError, match=r"Keras cannot train it: .*9"):
        trained(tmp_path, ending(SOFTMAX), data_of(LABELS), changes=changes)
