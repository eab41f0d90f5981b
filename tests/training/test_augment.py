"""Crops at random: each image at a place of its own, of the image with a margin of zeros."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from graphcnn import Graph
from graphcnn.errors import TrainingError
from graphcnn.options import build
from graphcnn.recipe import Recipe

from .small import PLAIN, Array, graph_of


def cropped(images: Array, padding: int) -> Array:
    from graphcnn.engine import tf
    from graphcnn.training.augment import PadAndCrop

    layer = PadAndCrop(padding)
    layer.seed_generator.state.assign(np.array([3, 4], np.uint32))
    crop = tf.function(lambda x: layer(x, training=True))
    return np.asarray(crop(tf.constant(images)))


def places(image: Array, result: Array, padding: int) -> list[tuple[int, int]]:
    """Where in the image with its margin the result lies."""
    margin = ((padding, padding), (padding, padding), (0, 0))
    padded = np.pad(image, margin)
    height, width, _ = image.shape
    return [
        (row, column)
        for row in range(2 * padding + 1)
        for column in range(2 * padding + 1)
        if (padded[row : row + height, column : column + width] == result).all()
    ]


@pytest.mark.parametrize(("shape", "padding"), [((5, 9, 3), 2), ((4, 4, 1), 6)])
def test_every_image_has_a_place_of_its_own(shape: tuple[int, int, int], padding: int) -> None:
    images = np.random.default_rng(0).uniform(1, 255, (200, *shape)).astype(np.float32)
    results = cropped(images, padding)
    assert results.shape == images.shape
    assert results.dtype == images.dtype
    found = [places(*pair, padding) for pair in zip(images, results, strict=True)]
    assert all(found)
    (rows, columns) = zip(*[place for (place, *_) in found], strict=True)
    margin = 2 * padding
    if margin < min(shape[:2]):
        assert all(len(each) == 1 for each in found)
        assert set(rows) == set(columns) == set(range(margin + 1))
        assert len(set(zip(rows, columns, strict=True))) > (margin + 1) ** 2 / 2


def test_the_same_state_gives_the_same_places() -> None:
    images = np.random.default_rng(0).uniform(1, 255, (20, 5, 5, 1)).astype(np.float32)
    np.testing.assert_array_equal(cropped(images, 2), cropped(images, 2))


def layers(graph: Graph, *steps: Any) -> list[Any]:
    from graphcnn.training.augment import augmentation
    from graphcnn.training.objective import choose_objective

    recipe = build(Recipe, {"augmentation": list(steps)})
    return augmentation(recipe, graph, choose_objective(graph, recipe, labels=True))


def test_layers_are_those_of_keras() -> None:
    flip, rotation, crop = layers(
        graph_of(PLAIN),
        {"RandomFlip": {"mode": "vertical"}},
        {"RandomRotation": {"factor": 0.25, "fill_mode": "constant", "seed": 7}},
        {"RandomCrop": {"padding": 4}},
    )
    assert (type(flip).__name__, flip.mode) == ("RandomFlip", "vertical")
    assert (type(rotation).__name__, rotation.fill_mode) == ("RandomRotation", "constant")
    assert rotation.seed == 7
    assert crop.padding == 4
    assert flip.compute_dtype == rotation.compute_dtype == "float32"


def test_targets_that_are_images() -> None:
    """They would have to be changed along."""
    from graphcnn.training.augment import augmentation
    from graphcnn.training.objective import choose_objective

    graph = graph_of("inputs: {x: [H, W, 1]}\nlayers: [Conv2D: {filters: 1, kernel_size: 1}]\n")
    recipe = build(Recipe, {"augmentation": ["RandomFlip"]})
    objective = choose_objective(graph, recipe, labels=False)
    with pytest.raises(TrainingError, match="not the targets that belong to them"):
        augmentation(recipe, graph, objective)
