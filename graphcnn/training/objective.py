"""What is minimized and what is reported, as Keras's losses and metrics.

The cross-entropy of a softmax is ``log(sum(exp(z))) - z[label]`` of its logits z, which no
probability that rounds to zero can spoil. So an output that ends with the activation that its loss
knows is trained without it, and the activation is put back where a metric asks for probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graphcnn.engine import keras, tf
from graphcnn.errors import TrainingError
from graphcnn.graph import Graph, Node
from graphcnn.naming import unused_name
from graphcnn.ops import ActivationFunction
from graphcnn.ops.activations import Sigmoid
from graphcnn.options import field_values
from graphcnn.recipe import Loss, Metric, Recipe
from graphcnn.recipe.losses import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    Dice,
    MeanSquaredError,
    SparseCategoricalCrossentropy,
    Tversky,
)
from graphcnn.recipe.metrics import METRICS, Accuracy
from graphcnn.types import Dim

from .build import final_activation

_METRIC_NAMES = {kind: name for name, kind in reversed(METRICS.items())}
_BINARY = (BinaryCrossentropy, BinaryFocalCrossentropy)


@dataclass(frozen=True, slots=True)
class Objective:
    """The loss and the metrics of a model on data.

    Attributes:
        loss: The loss of the recipe, or the one that the output asks for.
        metrics: The metrics of the recipe that are not accuracy.
        labels: The truth is one integer a sample; else a target of the output's shape.
        sizes: The sizes of the output of one sample.
        from_logits: The loss takes scores before their softmax or sigmoid.
        without_activation: The model ends with that activation, and is trained without it.
    """

    loss: Loss
    metrics: tuple[Metric, ...]
    labels: bool
    sizes: tuple[Dim, ...]
    from_logits: bool
    without_activation: bool

    def keras_loss(self) -> Any:
        """Keras's loss, which gives a number for each sample or each row of it."""
        options = field_values(self.loss)
        if self.loss.logits:
            options["from_logits"] = self.from_logits
        if isinstance(self.loss, Dice | Tversky):
            options["axis"] = tuple(range(1, 1 + len(self.sizes)))
        return getattr(keras.losses, type(self.loss).__name__)(**options, reduction="none")

    @property
    def names(self) -> list[str]:
        """What the log calls the loss and the metrics; two of a kind are told apart by number."""
        found = ["loss", *["accuracy"] * self.labels]
        for metric in self.metrics:
            found.append(unused_name(_METRIC_NAMES[type(metric)], found, {}, 2))
        return found

    def keras_metrics(self) -> dict[str, Any]:
        """Keras's metrics by the names that the log has for them.

        Raises:
            TrainingError: The options of one are wrong for Keras.
        """
        names = iter(self.names[1:])
        found: dict[str, Any] = {}
        if self.labels:
            binary = self.sizes == (1,)
            kind = keras.metrics.BinaryAccuracy if binary else keras.metrics.CategoricalAccuracy
            found[next(names)] = kind()
        for name, metric in zip(names, self.metrics, strict=True):
            try:
                made = getattr(keras.metrics, type(metric).__name__)(**field_values(metric))
            except ValueError as error:
                raise TrainingError(f"Keras refuses the metric {name}: {error}") from error
            found[name] = made
        return found

    def sample_losses(self, loss: Any, truth: Any, output: Any) -> Any:
        """The loss of each sample: float32[batch]."""
        sparse = self.loss.labels == "sparse"
        losses = loss(truth if sparse else self._rows(truth), output)
        return tf.reduce_mean(tf.reshape(losses, [tf.shape(losses)[0], -1]), axis=1)

    def update(self, metrics: dict[str, Any], truth: Any, output: Any) -> None:
        """Show a batch to the metrics."""
        probabilities = self._probabilities(output) if self.from_logits else output
        rows = self._rows(truth)
        for metric in metrics.values():
            sparse = isinstance(metric, keras.metrics.SparseTopKCategoricalAccuracy)
            metric.update_state(truth if sparse else rows, probabilities)

    def _probabilities(self, scores: Any) -> Any:
        return tf.sigmoid(scores) if isinstance(self.loss, _BINARY) else tf.nn.softmax(scores)

    def _rows(self, truth: Any) -> Any:
        """Labels as rows of the output's own shape; targets as they are."""
        if not self.labels:
            return truth
        if self.sizes == (1,):
            return tf.cast(tf.reshape(truth, [-1, 1]), tf.float32)
        return tf.one_hot(truth, self.sizes[-1])


def choose_objective(graph: Graph, recipe: Recipe, labels: bool) -> Objective:
    """What a recipe asks for on a model's only output.

    Args:
        graph: The model.
        recipe: How it is trained.
        labels: Whether the truth is one integer a sample.

    Raises:
        TrainingError: The loss or a metric does not fit the output or the data.
    """
    node = graph.node(next(iter(graph.outputs.values())))
    sizes = graph.type(node.name).sizes
    last = _activated(graph, node)
    activation = final_activation(last.op, graph.type(last.name).rank)
    sigmoid = isinstance(activation, Sigmoid)
    loss = recipe.loss or _default_loss(sigmoid, labels, sizes)
    _check(loss, "loss", labels)
    for metric in recipe.metrics:
        _check(metric, "metric", labels)
    known = activation is None or isinstance(loss, _BINARY) == sigmoid
    removable = activation is None or (last is node and not _shares(graph, node))
    logits = loss.logits and known and removable
    metrics = tuple(metric for metric in recipe.metrics if not isinstance(metric, Accuracy))
    return Objective(loss, metrics, labels, sizes, logits, logits and activation is not None)


def _activated(graph: Graph, node: Node) -> Node:
    """The node, or the one before it that makes probabilities, which it only moves or averages."""
    last = node
    while final_activation(last.op, graph.type(last.name).rank) is None:
        if last.weights or len(last.inputs) != 1 or isinstance(last.op, ActivationFunction):
            return node
        last = graph.node(last.inputs[0])
    return last


def _shares(graph: Graph, node: Node) -> bool:
    """Whether another node has a weight of this one."""
    own = set(node.weights.values())
    return any(own & set(other.weights.values()) for other in graph if other is not node)


def _default_loss(sigmoid: bool, labels: bool, sizes: tuple[Dim, ...]) -> Loss:
    if not labels:
        return MeanSquaredError()
    if sigmoid or sizes == (1,):
        return BinaryCrossentropy()
    return SparseCategoricalCrossentropy()


def _check(wanted: Loss | Metric, kind: str, labels: bool) -> None:
    asks = isinstance(wanted, Accuracy) or wanted.labels == "sparse"
    if asks and not labels:
        raise TrainingError(
            f"the {kind} {type(wanted).__name__} takes labels, and the data holds targets",
            hint="mean_squared_error compares with targets" if kind == "loss" else None,
        )
