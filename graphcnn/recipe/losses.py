"""The losses of Keras that classify, segment and regress, with its arguments and defaults.

The classes are called what Keras calls them in `keras.losses`. Whether a loss is given logits or
probabilities is not a choice here: training takes logits wherever Keras's class can.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from graphcnn.options import Options, choose

from .fields import NonNegative, Positive, Share


class Loss(Options):
    """The base of all losses: a name in the model file, and Keras's arguments.

    Attributes:
        labels: What it compares the output with: ``sparse`` is one integer a sample, ``onehot`` a
            row of zeros and a one, and ``any`` a target of the output's own shape.
        logits: Keras's class has `from_logits`.
    """

    labels: ClassVar[Literal["sparse", "onehot", "any"]] = "any"
    logits: ClassVar[bool] = False

    @classmethod
    def decode(cls, value: Any) -> Loss:
        """Read ``huber`` or ``{huber: {delta: 2}}``."""
        example = "mean_squared_error, or {categorical_crossentropy: {label_smoothing: 0.1}}"
        return choose(value, LOSSES, "loss", example)


@dataclass(frozen=True, kw_only=True)
class SmoothedLoss(Loss):
    """What losses of probabilities take.

    Attributes:
        label_smoothing: The share of each label that is spread over all classes.
    """

    logits = True
    label_smoothing: Share = 0.0


class CategoricalCrossentropy(SmoothedLoss):
    """``-sum(y * log(p))`` over the classes."""

    labels = "onehot"


class BinaryCrossentropy(SmoothedLoss):
    """``-y * log(p) - (1 - y) * log(1 - p)``, for each element of its own."""


@dataclass(frozen=True, kw_only=True)
class CategoricalFocalCrossentropy(SmoothedLoss):
    """Cross-entropy that turns to what is hard. Source: Lin et al. 2018.

    Attributes:
        alpha: The weight of all classes, or of each.
        gamma: How little what is easy counts.
    """

    labels = "onehot"
    alpha: NonNegative | tuple[NonNegative, ...] = 0.25
    gamma: NonNegative = 2.0


@dataclass(frozen=True, kw_only=True)
class BinaryFocalCrossentropy(SmoothedLoss):
    """Binary cross-entropy that turns to what is hard. Source: Lin et al. 2018.

    Attributes:
        apply_class_balancing: Weigh the classes by `alpha`.
        alpha: The weight of class 1; class 0 has the rest.
        gamma: How little what is easy counts.
    """

    apply_class_balancing: bool = False
    alpha: Share = 0.25
    gamma: NonNegative = 2.0


@dataclass(frozen=True, kw_only=True)
class CategoricalGeneralizedCrossEntropy(Loss):
    """``(1 - p[label] ** q) / q``, for labels that may be wrong. Source: Zhang and Sabuncu 2018."""

    labels = "sparse"
    q: Annotated[float, Meta(gt=0, lt=1)] = 0.5


@dataclass(frozen=True, kw_only=True)
class Huber(Loss):
    """Squares up to `delta`, and lines beyond. Source: Huber 1964."""

    delta: Positive = 1.0


@dataclass(frozen=True, kw_only=True)
class Tversky(Loss):
    """One minus the overlap, false positives and negatives weighed. Source: Salehi et al. 2017.

    Attributes:
        alpha: The weight of false positives.
        beta: The weight of false negatives.
    """

    alpha: NonNegative = 0.5
    beta: NonNegative = 0.5


@dataclass(frozen=True, kw_only=True)
class PlainLoss(Loss):
    """A loss that takes no options."""


class SparseCategoricalCrossentropy(PlainLoss):
    """``-log(p[label])``, where a label is an integer."""

    labels = "sparse"
    logits = True


class Dice(PlainLoss):
    """One minus twice the overlap over the sum of the areas. Source: Milletari et al. 2016."""


class MeanSquaredError(PlainLoss):
    """``mean((y - p) ** 2)``."""


class MeanAbsoluteError(PlainLoss):
    """``mean(abs(y - p))``."""


class MeanAbsolutePercentageError(PlainLoss):
    """``100 * mean(abs(y - p) / abs(y))``."""


class MeanSquaredLogarithmicError(PlainLoss):
    """``mean((log(y + 1) - log(p + 1)) ** 2)``."""


class LogCosh(PlainLoss):
    """``mean(log(cosh(p - y)))``."""


class KLDivergence(PlainLoss):
    """``sum(y * log(y / p))``."""


class Poisson(PlainLoss):
    """``mean(p - y * log(p))``."""


class CosineSimilarity(PlainLoss):
    """Minus the cosine of the angle between the two."""


class Hinge(PlainLoss):
    """``mean(max(1 - y * p, 0))``, for labels of -1 or 1; 0 is taken for -1."""


class SquaredHinge(PlainLoss):
    """``mean(max(1 - y * p, 0) ** 2)``, for labels of -1 or 1; 0 is taken for -1."""


class CategoricalHinge(PlainLoss):
    """``max(1 + max((1 - y) * p) - sum(y * p), 0)``."""

    labels = "onehot"


LOSSES: dict[str, type[Loss]] = {
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
    "categorical_crossentropy": CategoricalCrossentropy,
    "binary_crossentropy": BinaryCrossentropy,
    "categorical_focal_crossentropy": CategoricalFocalCrossentropy,
    "binary_focal_crossentropy": BinaryFocalCrossentropy,
    "categorical_generalized_cross_entropy": CategoricalGeneralizedCrossEntropy,
    "mean_squared_error": MeanSquaredError,
    "mse": MeanSquaredError,
    "mean_absolute_error": MeanAbsoluteError,
    "mae": MeanAbsoluteError,
    "mean_absolute_percentage_error": MeanAbsolutePercentageError,
    "mean_squared_logarithmic_error": MeanSquaredLogarithmicError,
    "huber": Huber,
    "log_cosh": LogCosh,
    "kl_divergence": KLDivergence,
    "poisson": Poisson,
    "cosine_similarity": CosineSimilarity,
    "hinge": Hinge,
    "squared_hinge": SquaredHinge,
    "categorical_hinge": CategoricalHinge,
    "dice": Dice,
    "tversky": Tversky,
}
"""Every loss by its name in the model file."""
