"""The metrics of Keras that are one number, with its arguments.

The classes are called what Keras calls them in `keras.metrics`, and so are their fields. Defaults
are Keras's too, except where its default is a number for each class.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from graphcnn.ops.op import Size
from graphcnn.options import Options, Read, choose

from .fields import Positive, Share, read_list


class Metric(Options):
    """The base of all metrics: a name in the model file, and Keras's arguments.

    Attributes:
        labels: What it compares the output with: ``sparse`` is one integer a sample, ``onehot`` a
            row of zeros and a one (for one sigmoid: the zero or one), and ``any`` a target of the
            output's own shape.
    """

    labels: ClassVar[Literal["sparse", "onehot", "any"]] = "any"

    @classmethod
    def decode(cls, value: Any) -> Metric:
        """Read ``auc`` or ``{top_k_categorical_accuracy: {k: 3}}``."""
        example = "auc, or {top_k_categorical_accuracy: {k: 3}}"
        return choose(value, METRICS, "metric", example)


@dataclass(frozen=True, kw_only=True)
class PlainMetric(Metric):
    """A metric that takes no options."""


class Accuracy(PlainMetric):
    """The share of samples whose class is right: reported for labels without being asked for.

    It is not Keras's class of this name, but what Keras makes of the word: the kind that fits the
    output.
    """


@dataclass(frozen=True, kw_only=True)
class SparseTopKCategoricalAccuracy(Metric):
    """The share of samples whose label is among the `k` likeliest."""

    labels = "sparse"
    k: Size = 5


@dataclass(frozen=True, kw_only=True)
class BinaryAccuracy(Metric):
    """The share of elements on the right side of the threshold."""

    labels = "onehot"
    threshold: Share = 0.5


@dataclass(frozen=True, kw_only=True)
class AUC(Metric):
    """The area under a curve, of all elements together.

    Attributes:
        num_thresholds: The points of the curve.
        curve: ROC is true over false positives, PR precision over recall.
        summation_method: How the area between two points is taken.
    """

    labels = "onehot"
    num_thresholds: Annotated[int, Meta(ge=2, le=10**6)] = 200
    curve: Literal["ROC", "PR"] = "ROC"
    summation_method: Literal["interpolation", "minoring", "majoring"] = "interpolation"


@dataclass(frozen=True, kw_only=True)
class Precision(Metric):
    """The share of what is found that is right.

    Attributes:
        thresholds: From what probability on a class counts as found; 0.5 unless there is `top_k`.
        top_k: Only the `top_k` likeliest classes count as found.
        class_id: The one class that is counted, by its index.
    """

    labels = "onehot"
    thresholds: Share | None = None
    top_k: Size | None = None
    class_id: Annotated[int, Meta(ge=0, lt=2**31)] | None = None


class Recall(Precision):
    """The share of what is right that is found."""


@dataclass(frozen=True, kw_only=True)
class F1Score(Metric):
    """The harmonic mean of precision and recall.

    Attributes:
        average: Of all elements together, of the classes alike, or of the classes by their number.
        threshold: From what probability on a class counts as found; None: the likeliest does, so
            that a single sigmoid needs a number.
    """

    labels = "onehot"
    average: Literal["micro", "macro", "weighted"] = "macro"
    threshold: Annotated[float, Meta(gt=0, le=1)] | None = None


@dataclass(frozen=True, kw_only=True)
class FBetaScore(F1Score):
    """The mean of precision and recall, with recall counting `beta` times."""

    beta: Positive = 1.0


class MeanSquaredError(PlainMetric):
    """``mean((y - p) ** 2)``."""


class RootMeanSquaredError(PlainMetric):
    """``sqrt(mean((y - p) ** 2))``."""


class MeanAbsoluteError(PlainMetric):
    """``mean(abs(y - p))``."""


class MeanAbsolutePercentageError(PlainMetric):
    """``100 * mean(abs(y - p) / abs(y))``."""


class MeanSquaredLogarithmicError(PlainMetric):
    """``mean((log(y + 1) - log(p + 1)) ** 2)``."""


class R2Score(PlainMetric):
    """The share of the variance that is explained, averaged over the outputs."""


class CosineSimilarity(PlainMetric):
    """The cosine of the angle between the two."""


METRICS: dict[str, type[Metric]] = {
    "accuracy": Accuracy,
    "top_k_categorical_accuracy": SparseTopKCategoricalAccuracy,
    "binary_accuracy": BinaryAccuracy,
    "auc": AUC,
    "precision": Precision,
    "recall": Recall,
    "f1_score": F1Score,
    "fbeta_score": FBetaScore,
    "mean_squared_error": MeanSquaredError,
    "mse": MeanSquaredError,
    "root_mean_squared_error": RootMeanSquaredError,
    "mean_absolute_error": MeanAbsoluteError,
    "mae": MeanAbsoluteError,
    "mean_absolute_percentage_error": MeanAbsolutePercentageError,
    "mean_squared_logarithmic_error": MeanSquaredLogarithmicError,
    "r2_score": R2Score,
    "cosine_similarity": CosineSimilarity,
}
"""Every metric by its name in the model file."""


Metrics = Annotated[
    tuple[Metric, ...], Read(partial(read_list, made=(Metric,), read=Metric.decode))
]
"""Metrics, in the order of their columns."""
