"""Augmentation as Keras layers on batches of raw pixels, in training only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphcnn.options import Options, option_fields
from graphcnn.recipe import RandomCrop

from .engine import keras, tf


class PadAndCrop(keras.layers.Layer):  # type: ignore[misc]  # keras is untyped
    """Zeros around each image, then a crop of the first size, each image at a place of its own.

    Source: He et al. 2015, section 4.2. Where all images of a batch may share a place,
    `keras.layers.RandomCrop` would do; it draws one for the batch.

    Args:
        padding: Pixels on every side.
        seed: Where places are drawn from.
    """

    def __init__(self, padding: int, seed: int) -> None:
        super().__init__(name="random_crop", dtype="float32")
        self.padding = padding
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, images: Any) -> Any:
        """Crop a batch of images, channels last."""
        _, height, width, _ = images.shape
        margin = [self.padding] * 2
        padded = tf.pad(images, [[0, 0], margin, margin, [0, 0]])
        places = keras.random.randint(
            (tf.shape(images)[0], 2), 0, 2 * self.padding + 1, seed=self.seed_generator
        )
        rows = places[:, :1] + tf.range(height)
        columns = places[:, 1:] + tf.range(width)
        taken = tf.gather(padded, rows, axis=1, batch_dims=1)
        return tf.gather(taken, columns, axis=2, batch_dims=1)


def augmentation(steps: Sequence[Options], seed: int) -> list[Any]:
    """Keras layers for the steps of a recipe, each with random numbers of its own."""
    return [_layer(step, seed + number) for number, step in enumerate(steps)]


def _layer(step: Options, seed: int) -> Any:
    if isinstance(step, RandomCrop):
        return PadAndCrop(step.padding, seed)
    given = {f.name: getattr(step, f.name) for f in option_fields(type(step))}
    given["seed"] = seed if given.get("seed") is None else given["seed"]
    return getattr(keras.layers, type(step).__name__)(**given, dtype="float32")
