"""Changes to the images of a batch, drawn for each image, in training only.

Most are layers of a model file too. They work on the pixels as the data holds them, before any
`Rescaling`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from msgspec import Meta

from graphcnn.ops import (
    Op,
    RandomBrightness,
    RandomContrast,
    RandomFlip,
    RandomRotation,
    RandomTranslation,
    RandomZoom,
)
from graphcnn.ops.training_only import Shares
from graphcnn.options import Options, Read, choose

from .fields import read_list


@dataclass(frozen=True, kw_only=True)
class RandomCrop(Options):
    """Adds a margin of zeros, and cuts the image's own size out of it at random.

    Attributes:
        padding: The width of the margin in pixels.
    """

    padding: Annotated[int, Meta(ge=1, lt=2**16)]


@dataclass(frozen=True, kw_only=True)
class RandomErasing(Options):
    """Fills a rectangle of the image. Source: keras.layers.RandomErasing, Zhong et al. 2020.

    Attributes:
        factor: How likely an image is to be changed, or the two ends of how likely.
        scale: The ends of the share of the image's area.
        fill_value: What to fill with, or one for each of three channels; None: noise.
        value_range: The least and the greatest value of a pixel.
    """

    factor: Shares = 1.0
    scale: Shares = (0.02, 0.33)
    fill_value: float | tuple[float, float, float] | None = None
    value_range: tuple[float, float] = (0.0, 255.0)
    seed: int | None = None


AUGMENTATIONS: dict[str, type[Options]] = {
    "RandomFlip": RandomFlip,
    "RandomRotation": RandomRotation,
    "RandomTranslation": RandomTranslation,
    "RandomZoom": RandomZoom,
    "RandomContrast": RandomContrast,
    "RandomBrightness": RandomBrightness,
    "RandomCrop": RandomCrop,
    "RandomErasing": RandomErasing,
}
"""Every augmentation by its name in the model file."""


Augmentation = Op | RandomCrop | RandomErasing


def _augmentation(value: Any) -> Options:
    """Read ``RandomFlip`` or ``{RandomFlip: {mode: horizontal}}``."""
    example = "RandomFlip, or {RandomFlip: {mode: horizontal}}"
    return choose(value, AUGMENTATIONS, "augmentation", example)


Augmentations = Annotated[
    tuple[Augmentation, ...],
    Read(partial(read_list, made=tuple(AUGMENTATIONS.values()), read=_augmentation)),
]
"""Augmentations, in the order in which they are applied."""
