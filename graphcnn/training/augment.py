"""Augmentation as Keras layers on batches of raw pixels, in training only."""

from __future__ import annotations

from typing import Any

from graphcnn.engine import keras, tf
from graphcnn.errors import TrainingError
from graphcnn.graph import Graph
from graphcnn.options import Options, field_values
from graphcnn.recipe import RandomCrop, Recipe

from .objective import Objective


class PadAndCrop(keras.layers.Layer):  # type: ignore[misc]  # keras is untyped
    """Zeros around each image, then a crop of the first size, each image at a place of its own.

    Source: He et al. 2015, section 4.2. Where all images of a batch may share a place,
    `keras.layers.RandomCrop` would do; it draws one for the batch.

    Args:
        padding: Pixels on every side.
    """

    def __init__(self, padding: int) -> None:
        super().__init__(name="random_crop", dtype="float32")
        self.padding = padding
        self.seed_generator = keras.random.SeedGenerator()

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


def augmentation(recipe: Recipe, graph: Graph, objective: Objective) -> list[Any]:
    """Keras layers for the augmentation of a recipe.

    Raises:
        TrainingError: The input is no image, or the targets are, which would not be changed along.
    """
    steps = recipe.augmentation
    rank = graph.type(graph.inputs[0].name).rank
    if steps and rank != 4:
        raise TrainingError(
            f"augmentation is for images of rank 4, and the input is of rank {rank}"
        )
    if steps and not objective.labels and len(objective.sizes) > 1:
        raise TrainingError(
            "augmentation would change images, and not the targets that belong to them"
        )
    return [_layer(step) for step in steps]


def _layer(step: Options) -> Any:
    if isinstance(step, RandomCrop):
        return PadAndCrop(step.padding)
    return getattr(keras.layers, type(step).__name__)(**field_values(step), dtype="float32")
