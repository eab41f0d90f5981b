"""Batches from arrays in memory, through tf.data.

The arrays stay as they are, uint8 as uint8: an epoch is an order of sample numbers, and a batch is
gathered from the arrays when it is needed, one ahead of the step that takes it. The order is drawn
from the seed and the epoch alone, so that a run that is resumed goes on with the data it would have
had.

Each sample carries a weight, its class's weight over the number of samples in its batch: the sum of
weighted losses over a batch is then its mean, however many replicas share it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .engine import tf

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]

_ALIGNMENT = 64
"""The bytes that the address of a tensor of TensorFlow's is a multiple of."""

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
            return batches.prefetch(_AHEAD)

    def _gather(self, numbers: Any) -> tuple[Any, Any, Any]:
        y = tf.gather(self.y, numbers)
        each = tf.fill(tf.shape(numbers), 1 / tf.cast(tf.size(numbers), tf.float32))
        if self.weights is not None:
            each *= tf.gather(tf.constant(self.weights, tf.float32), y)
        return tf.gather(self.x, numbers), y, each


def on_host(array: Array) -> Any:
    """The array as a tensor in the host's memory, without a copy where TensorFlow can share it."""
    flags = array.flags
    shared = flags.writeable and flags.c_contiguous and array.ctypes.data % _ALIGNMENT == 0
    with tf.device("CPU"):
        if shared:
            return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
        return tf.constant(array)
