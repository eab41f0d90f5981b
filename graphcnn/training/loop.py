"""Steps of gradient descent on a graph's Keras model.

Many steps are run by one call of a compiled function, so that Python is not waited for between
them; the loss of each comes back, and the first that is not finite is found. The step runs in every
replica of a `tf.distribute` strategy, on its share of the batch. Several processes run one step a
call: TensorFlow pairs what they send each other by its place in the call, so calls of lengths that
each process chooses by its own clock would wait for each other forever.

What draws at random (dropout, augmentation) starts each epoch from its seed and the epoch alone,
like the order of the data.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from graphcnn.engine import as_array, keras, tf
from graphcnn.errors import CheckFailed, TrainingError
from graphcnn.types import Array

from .build import KerasTwin
from .feed import Feed
from .objective import Objective

_CALL_SECONDS = 0.25
"""About how long one call of the compiled function takes: how soon Ctrl-C is heard."""

_OPTIMIZER = "optimizer:"
"""What the names of the optimizer's variables begin with in a state; no node's name can."""


@dataclass(slots=True, repr=False)
class Trainer:
    """A model, an optimizer and an objective.

    Attributes:
        twin: The model, without its last activation where the objective says so.
        objective: The loss and the metrics.
        optimizer: Keras's optimizer.
        augment: Layers for the inputs in training, in order.
        strategy: What replicas there are.
        seed: What layers start from that have no seed of their own.
    """

    twin: KerasTwin
    objective: Objective
    optimizer: Any
    augment: list[Any]
    strategy: Any
    seed: int
    _trained: list[Any] = field(init=False)
    _loss: Any = field(init=False)
    _metrics: dict[str, Any] = field(init=False)
    _chunk: Any = field(init=False)
    _judge: Any = field(init=False)
    _mean: Any = field(init=False)
    _gathered: list[Any] = field(init=False)
    _generators: list[tuple[int | None, Any]] = field(init=False)

    def __post_init__(self) -> None:
        self._trained = self.twin.model.trainable_variables
        if not self._trained:
            raise TrainingError("there is nothing to train: no layer has a weight that is not kept")
        self._loss = self.objective.keras_loss()
        self._metrics = self.objective.keras_metrics()
        self.optimizer.build(self._trained)
        self._chunk = tf.function(self._many_steps)
        self._judge = tf.function(self._judge_batch, jit_compile=self.twin.needs_xla or None)
        weights = self.twin.model.non_trainable_variables
        self._gathered = [weight for weight in weights if "float" in weight.dtype]
        self._mean = tf.function(lambda: _means(self._gathered))
        self._generators = _seed_generators([*self.twin.model.layers, *self.augment])

    def run_epoch(
        self, batches: Any, epoch: int, sizes: Array, advance: Callable[[int, float], None]
    ) -> dict[str, float]:
        """Train on batches.

        Args:
            batches: A `tf.data.Dataset` of inputs, truths and weights.
            epoch: The number of the epoch, from 1.
            sizes: The samples in each batch.
            advance: Told of steps that are done, and of the mean loss so far.

        Returns:
            The loss and the metrics by name, over all samples.

        Raises:
            CheckFailed: A loss is not finite.
        """
        self._start_epoch(epoch)
        batches = iter(self.strategy.experimental_distribute_dataset(batches))
        count, done, total = 1, 0, 0.0
        while done < len(sizes):
            count = min(count, len(sizes) - done)
            start = time.perf_counter()
            losses = self._run(batches, count)
            _check_finite(losses, epoch, done)
            total += float(losses @ sizes[done : done + count])
            done += count
            advance(count, total / sizes[:done].sum())
            seconds = (time.perf_counter() - start) / count
            if self.strategy.cluster_resolver is None:
                count = max(1, min(2 * count, int(_CALL_SECONDS / seconds)))
        self._agree()
        return {"loss": total / sizes.sum(), **self._results()}

    def _run(self, batches: Any, count: int) -> Array:
        """The losses of some steps."""
        try:
            losses: Array = self._chunk(batches, tf.constant(count)).numpy()
        except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
            raise TrainingError(f"Keras cannot train it: {_reason(error)}") from error
        return losses

    def validate(
        self, feed: Feed, batch_size: int, advance: Callable[[], None]
    ) -> dict[str, float]:
        """The loss and the metrics on samples that are not trained on, by name.

        Args:
            feed: The samples.
            batch_size: How many at a time.
            advance: Called after each batch.
        """
        for metric in self._metrics.values():
            metric.reset_state()
        total = 0.0
        for x, y, _ in feed.in_order(batch_size):
            total += float(self._judge(x, y))
            advance()
        penalty = float(sum(as_array(loss) for loss in self.twin.model.losses))
        return {"loss": total / len(feed) + penalty, **self._results()}

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """With the moving averages of the weights in their place, if the optimizer keeps them."""
        if not getattr(self.optimizer, "use_ema", False):
            yield
            return
        before = [as_array(variable) for variable in self._trained]
        self.optimizer.finalize_variable_values(self._trained)
        try:
            yield
        finally:
            for variable, value in zip(self._trained, before, strict=True):
                variable.assign(value)

    @property
    def learning_rate(self) -> float:
        """The rate of the next step."""
        return float(as_array(self.optimizer.learning_rate))

    def arrays(self) -> dict[str, Array]:
        """Every variable that training goes on from, by name."""
        optimizer = {
            f"{_OPTIMIZER}{i}": as_array(v) for i, v in enumerate(self.optimizer.variables)
        }
        return {**self.twin.arrays(), **optimizer}

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Set every variable that training goes on from.

        Raises:
            TrainingError: One is missing, or has another shape.
        """
        variables = dict(self.twin.variables())
        variables |= {f"{_OPTIMIZER}{i}": v for i, v in enumerate(self.optimizer.variables)}
        for name, variable in variables.items():
            found = arrays.get(name)
            if found is None or found.shape != tuple(variable.shape):
                raise TrainingError(
                    f"the state of the run does not fit the model and its optimizer: {name}",
                    hint="was the run started with another version of Keras?",
                )
            variable.assign(found)

    def _start_epoch(self, epoch: int) -> None:
        for metric in self._metrics.values():
            metric.reset_state()
        for number, (seed, generator) in enumerate(self._generators):
            start = (self.seed if seed is None else seed, epoch, number)
            generator.state.assign(np.random.SeedSequence(start).generate_state(2) >> 1)

    def _agree(self) -> None:
        """Give all replicas the mean of what each has gathered of its own, such as statistics.

        A run that is resumed begins an epoch with the same numbers everywhere: so does this one.
        """
        if self.strategy.num_replicas_in_sync == 1 or not self._gathered:
            return
        for variable, mean in zip(self._gathered, self.strategy.run(self._mean), strict=True):
            variable.assign(self.strategy.experimental_local_results(mean)[0])

    def _many_steps(self, batches: Any, count: Any) -> Any:
        losses = tf.TensorArray(tf.float32, count)
        step = tf.function(self._step, jit_compile=True) if self.twin.needs_xla else self._step
        for index in tf.range(count):
            each = self.strategy.run(step, args=next(batches))
            losses = losses.write(index, self.strategy.reduce("SUM", each, axis=None))
        return losses.stack()

    def _step(self, x: Any, y: Any, weight: Any) -> Any:
        """One step on a replica's share of a batch; returns its share of the loss."""
        x = tf.cast(x, tf.float32)
        for layer in self.augment:
            x = layer(x, training=True)
        with tf.GradientTape() as tape:
            output = self.twin.model(x, training=True)
            loss = tf.reduce_sum(weight * self.objective.sample_losses(self._loss, y, output))
            if penalties := self.twin.model.losses:
                loss += tf.add_n(penalties) / self.strategy.num_replicas_in_sync
        self.optimizer.apply(tape.gradient(loss, self._trained), self._trained)
        self.objective.update(self._metrics, y, output)
        return loss

    def _judge_batch(self, x: Any, y: Any) -> Any:
        output = self.twin.model(tf.cast(x, tf.float32), training=False)
        self.objective.update(self._metrics, y, output)
        return tf.reduce_sum(self.objective.sample_losses(self._loss, y, output))

    def _results(self) -> dict[str, float]:
        return {name: float(as_array(metric.result())) for name, metric in self._metrics.items()}


def _means(variables: list[Any]) -> list[Any]:
    """The mean of each over all replicas, in every one of them."""
    replica = tf.distribute.get_replica_context()
    values = [tf.identity(variable.value) for variable in variables]
    return [replica.all_reduce(tf.distribute.ReduceOp.MEAN, value) for value in values]


def _seed_generators(layers: list[Any]) -> list[tuple[int | None, Any]]:
    """What draws at random in layers, in order, each with the seed that the layer was given."""
    return [
        (getattr(layer, "seed", None), value)
        for layer in layers
        for value in vars(layer).values()
        if isinstance(value, keras.random.SeedGenerator)
    ]


def _reason(error: Exception) -> str:
    """What is wrong: Keras and TensorFlow say where first."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if "Error" in line or "xception" in line), lines[0])


def _check_finite(losses: Array, epoch: int, done: int) -> None:
    wrong = np.flatnonzero(~np.isfinite(losses))
    if not wrong.size:
        return
    value = losses[wrong[0]]
    raise CheckFailed(
        f"the loss is {'infinite' if math.isinf(value) else 'not a number'} "
        f"in epoch {epoch}, step {done + int(wrong[0]) + 1}",
        hint="a lower learning_rate, clipnorm in the optimizer, or pixels scaled by a Rescaling "
        "layer; what earlier epochs saved is kept",
    )
