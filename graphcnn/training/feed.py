"""Batches from arrays in memory, through tf.data.

The arrays stay as they are, uint8 as uint8: an epoch is an order of sample numbers, and a batch is
gathered from the arrays a little ahead of the step that takes it. The order is drawn
from the seed and the epoch alone, so that a run that is resumed goes on with the data it would have
had.

Each sample carries a weight, its class's weight over the number of samples in its batch: the sum of
weighted losses over a batch is then its mean, however many replicas share it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphcnn.datasets import Dataset, Split
from graphcnn.datasets.streams import ALIGNMENT
from graphcnn.engine import tf
from graphcnn.errors import DataError, TrainingError, did_you_mean
from graphcnn.recipe import Recipe
from graphcnn.types import Array

_AHEAD = 4
"""Batches that are gathered before they are asked for."""


@dataclass(frozen=True, slots=True)
class Feed:
    """Samples of a data set, to be read in batches.

    Attributes:
        x: The inputs of the whole data set, as a tensor on the host.
        y: Its labels or targets, likewise.
        samples: The numbers of the samples that belong to this feed.
        weights: A weight for each label; None for one each.
    """

    x: Any
    y: Any
    samples: Array
    weights: Array | None = None

    def __len__(self) -> int:
        return len(self.samples)

    def epoch(self, seed: int, number: int, batch_size: int, steps: int) -> Any:
        """The batches of an epoch in its own order: a `tf.data.Dataset` of (x, y, weight)."""
        order = np.random.default_rng((seed, number)).permutation(self.samples)
        return self._batches(order[: steps * batch_size], batch_size)

    def in_order(self, batch_size: int) -> Any:
        """The batches in the order of the data set."""
        return self._batches(self.samples, batch_size)

    def _batches(self, order: Array, batch_size: int) -> Any:
        with tf.device("CPU"):
            numbers = tf.data.Dataset.from_tensor_slices(order).batch(batch_size)
            batches = numbers.map(self._gather, num_parallel_calls=2, deterministic=True)
            return batches.prefetch(_AHEAD).with_options(_untuned())

    def _gather(self, numbers: Any) -> tuple[Any, Any, Any]:
        y = tf.gather(self.y, numbers)
        each = tf.fill(tf.shape(numbers), 1 / tf.cast(tf.size(numbers), tf.float32))
        if self.weights is not None:
            each *= tf.gather(tf.constant(self.weights, tf.float32), y)
        return tf.gather(self.x, numbers), y, each


def _untuned() -> Any:
    """Options without autotuning.

    There is nothing here to tune, and the end of an iterator waits for the tuner's next turn, which
    TensorFlow (2.21) puts off for longer and longer: up to 41 seconds in each epoch of a minute.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return options


def on_host(array: Array) -> Any:
    """The array as a tensor in the host's memory, without a copy where TensorFlow can share it."""
    flags = array.flags
    shared = flags.writeable and flags.c_contiguous and array.ctypes.data % ALIGNMENT == 0
    with tf.device("CPU"):
        if shared:
            return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
        return tf.constant(array)


def split_feeds(
    dataset: Dataset, recipe: Recipe, names: Sequence[str], scores: int
) -> tuple[Feed, Feed | None]:
    """What is trained on, and what is held back for validation.

    Args:
        dataset: The data.
        recipe: How it is shared out, and how much each class counts.
        names: The names of the classes, or none.
        scores: The scores that the model gives a sample; one is enough for two classes.

    Raises:
        DataError: There is nothing to train on, or nothing to validate on.
        TrainingError: There is no class of which `class_weight` speaks.
    """
    split = dataset.train
    if split is None:
        raise DataError(f"{dataset.source}: there is no training data, only a test set")
    total, share = len(split), recipe.validation_split
    count = share if isinstance(share, int) else round(total * share)
    if share and not count:
        raise DataError(f"validation_split {share} of {total:,} samples is less than one")
    if count >= total:
        raise DataError(
            f"validation_split {share} leaves nothing to train on: there are {total:,} samples"
        )
    order = np.random.default_rng((recipe.seed, 0)).permutation(total)
    kept, held = np.sort(order[count:]), np.sort(order[:count])
    x, y = on_host(split.x), on_host(split.y)
    weights = _class_weights(split, recipe, names, max(2, scores))
    return Feed(x, y, kept, weights), Feed(x, y, held) if count else None


def _class_weights(split: Split, recipe: Recipe, names: Sequence[str], count: int) -> Any:
    """A weight for each label; None where all count alike."""
    wanted = recipe.class_weight
    if wanted is None:
        return None
    if split.y.dtype.kind == "f":
        raise TrainingError("class_weight: the data holds targets, not labels of classes")
    counts = np.bincount(split.y, minlength=count)
    if wanted == "balanced":
        present = np.count_nonzero(counts)
        return (len(split) / (present * np.maximum(counts, 1))).astype(np.float32)
    weights = np.ones(count, np.float32)
    for key, weight in wanted.items():
        weights[_class_index(key, names, count)] = weight
    return weights


def _class_index(key: str | int, names: Sequence[str], count: int) -> int:
    by_name = {name: index for index, name in enumerate(names)}
    if str(key) in by_name:
        return by_name[str(key)]
    if isinstance(key, int) and 0 <= key < count:
        return key
    raise TrainingError(
        f"class_weight: there is no class {key!r}",
        hint=did_you_mean(str(key), names) or f"classes are 0 to {count - 1}",
    )


def count_steps(recipe: Recipe, samples: int) -> int:
    """The batches in an epoch.

    Raises:
        TrainingError: More are asked for than the samples make.
    """
    most = math.ceil(samples / recipe.batch_size)
    if recipe.steps_per_epoch and recipe.steps_per_epoch > most:
        raise TrainingError(
            f"steps_per_epoch {recipe.steps_per_epoch:,} is more than the {most:,} batches of "
            f"{recipe.batch_size} that {samples:,} training samples make",
            hint="more epochs, or a smaller batch_size",
        )
    return recipe.steps_per_epoch or most
