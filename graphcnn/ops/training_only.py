"""Layers that act in training only, and at inference pass their input through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from graphcnn.types import TensorType

from .op import Cost, FollowOp, Lowering, Reach, register

Rate = Annotated[float, Meta(ge=0, le=1)]
Factor = float | tuple[float, float]


class TrainingOnly(FollowOp):
    """The identity at inference."""

    is_view: ClassVar[bool] = True
    training_only: ClassVar[bool] = True
    any_dtype: ClassVar[bool] = True
    reordering: ClassVar[Literal["absorbs", "passes", "refuses"]] = "passes"

    def infer(self, *inputs: TensorType) -> TensorType:
        return inputs[0]

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        return Cost()

    def reach(self, *inputs: TensorType) -> tuple[Reach, ...] | None:
        return (Reach(),) * len(inputs[0].spatial) or None

    def lower(self, ctx: Lowering) -> str:
        return ctx.operands[0]


@dataclass(frozen=True, kw_only=True)
class RandomDrop(TrainingOnly):
    """Noise of a rate."""

    rate: Rate
    seed: int | None = None


@register
class Dropout(RandomDrop):
    """Sets elements to zero at random. Source: keras.layers.Dropout, Srivastava et al. 2014."""

    noise_shape: tuple[int | None, ...] | None = None


@register
class SpatialDropout1D(RandomDrop):
    """Sets whole channels to zero at random. Source: keras.layers.SpatialDropout1D."""


@register
class SpatialDropout2D(RandomDrop):
    """Sets whole channels to zero at random. Source: keras.layers.SpatialDropout2D."""


@register
class SpatialDropout3D(RandomDrop):
    """Sets whole channels to zero at random. Source: keras.layers.SpatialDropout3D."""


@register
class GaussianDropout(RandomDrop):
    """Multiplies by noise around one. Source: keras.layers.GaussianDropout."""


@register
class AlphaDropout(RandomDrop):
    """Dropout that keeps mean and variance under SELU. Source: keras.layers.AlphaDropout."""

    noise_shape: tuple[int | None, ...] | None = None


@register
class GaussianNoise(TrainingOnly):
    """Adds noise. Source: keras.layers.GaussianNoise."""

    stddev: Annotated[float, Meta(ge=0)]
    seed: int | None = None


@register
class ActivityRegularization(TrainingOnly):
    """Adds a penalty to the loss. Source: keras.layers.ActivityRegularization."""

    l1: float = 0.0
    l2: float = 0.0


@register
class RandomFlip(TrainingOnly):
    """Flips images at random. Source: keras.layers.RandomFlip."""

    mode: Literal["horizontal", "vertical", "horizontal_and_vertical"] = "horizontal_and_vertical"
    seed: int | None = None


@register
class RandomRotation(TrainingOnly):
    """Turns images at random, by a fraction of a full turn. Source: keras.layers.RandomRotation."""

    factor: Factor
    seed: int | None = None


@register
class RandomTranslation(TrainingOnly):
    """Shifts images at random, by fractions of their size. Source: keras.layers.RandomTranslation."""  # noqa: E501

    height_factor: Factor
    width_factor: Factor
    seed: int | None = None


@register
class RandomZoom(TrainingOnly):
    """Zooms into images at random. Source: keras.layers.RandomZoom."""

    height_factor: Factor
    width_factor: Factor | None = None
    seed: int | None = None


@register
class RandomContrast(TrainingOnly):
    """Changes the contrast at random. Source: keras.layers.RandomContrast."""

    factor: Factor
    seed: int | None = None


@register
class RandomBrightness(TrainingOnly):
    """Changes the brightness at random. Source: keras.layers.RandomBrightness."""

    factor: Factor
    seed: int | None = None
