"""Layers that act in training only, and at inference pass their input through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from graphcnn.types import TensorType

from .op import Cost, FollowOp, Lowering, register

Share = Annotated[float, Meta(ge=0, le=1)]

# Not tuple[float, float]: msgspec 0.22 crashes where that is in a union with a bounded number.
_Ends = Annotated[tuple[float, ...], Meta(min_length=2, max_length=2)]

Shares = Share | _Ends
"""The most that is drawn, from none on, or both ends."""

Factor = Annotated[float, Meta(ge=-1, le=1)] | _Ends
"""The most that is drawn, either way, or both ends."""


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

    def lower(self, ctx: Lowering) -> str:
        return ctx.operands[0]


@dataclass(frozen=True, kw_only=True)
class RandomDrop(TrainingOnly):
    """Noise of a rate."""

    rate: Share
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
class StochasticDepth(TrainingOnly):
    """Sets whole samples to zero at random. Source: keras.applications.convnext, Huang 2016."""

    drop_path_rate: Share


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


@dataclass(frozen=True, kw_only=True)
class RandomMove(TrainingOnly):
    """Moves the pixels of images at random.

    Attributes:
        fill_mode: What comes in from outside the image: its mirror image, the image again, its
            nearest pixel, or `fill_value`.
        interpolation: What lies between pixels.
        fill_value: For `fill_mode` constant.
    """

    fill_mode: Literal["reflect", "wrap", "constant", "nearest"] = "reflect"
    interpolation: Literal["nearest", "bilinear"] = "bilinear"
    seed: int | None = None
    fill_value: float = 0.0


@register
class RandomRotation(RandomMove):
    """Turns images at random, by a fraction of a full turn. Source: keras.layers.RandomRotation."""

    factor: Factor


@register
class RandomTranslation(RandomMove):
    """Shifts images at random, by fractions of their size. Source: keras.layers.RandomTranslation."""  # noqa: E501

    height_factor: Factor
    width_factor: Factor


@register
class RandomZoom(RandomMove):
    """Zooms into images at random. Source: keras.layers.RandomZoom."""

    height_factor: Factor
    width_factor: Factor | None = None


@dataclass(frozen=True, kw_only=True)
class RandomLight(TrainingOnly):
    """Changes the values of pixels at random.

    Attributes:
        value_range: The least and the greatest value of a pixel.
    """

    value_range: tuple[float, float] = (0.0, 255.0)
    seed: int | None = None


@register
class RandomContrast(RandomLight):
    """Changes the contrast at random. Source: keras.layers.RandomContrast."""

    factor: Shares


@register
class RandomBrightness(RandomLight):
    """Changes the brightness at random. Source: keras.layers.RandomBrightness."""

    factor: Factor
