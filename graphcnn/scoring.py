"""How good predictions are: against the truth, and against another engine's predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from .errors import EvaluationError
from .runtime.signature import Array

ScoreKind = Literal["probabilities", "logits", "best classes"]

SMALLEST_PROBABILITY = 1e-7
"""A smaller one counts as this, so that a loss stays finite: Keras's epsilon, for the same loss."""

_SUM_TOLERANCE = 1e-3
"""Rows that sum to 1 within this are probabilities: float16 softmax stays below it."""

_MOST_CLASSES = 10_000
"""Of classes without names: the square of their number is counted."""

_SAME_OUTPUT = 1e-4
"""Outputs that are no scores are the same within this, relative to the largest magnitude."""


@dataclass(frozen=True, slots=True)
class Classification:
    """How well scores tell classes apart.

    Attributes:
        samples: How many there were.
        kind: What the scores were taken for: rows that are not negative and sum to 1 are
            probabilities, others logits; or the file gives no more than the best classes.
        loss: The mean cross-entropy in nats; None where the best classes alone are known.
        accuracy: The share of samples whose highest score is that of their class.
        classes: The classes' names; their numbers where they have none.
        precision: Of the samples predicted as a class, the share that is of it: float64[classes],
            NaN where nothing was predicted as it.
        recall: Of the samples of a class, the share predicted as it: float64[classes], NaN where
            there is none.
        support: How many samples each class has: int64[classes].
        confusion: How many samples of each class were predicted as each: int64[true, predicted].
        among_best: How many classes are given, where those are the best alone, and the share of
            samples whose class is among them.
    """

    samples: int
    kind: ScoreKind
    loss: float | None
    accuracy: float
    classes: tuple[str, ...]
    precision: Array
    recall: Array
    support: Array
    confusion: Array
    among_best: tuple[int, float] | None = None


@dataclass(frozen=True, slots=True)
class Regression:
    """How far outputs are from their targets.

    Attributes:
        samples: How many there were.
        mean_squared_error: Over all numbers of all samples.
        mean_absolute_error: Over all numbers of all samples.
    """

    samples: int
    mean_squared_error: float
    mean_absolute_error: float


Evaluation = Classification | Regression


@dataclass(frozen=True, slots=True)
class Agreement:
    """How alike two engines' predictions on the same samples are.

    Attributes:
        samples: How many there were.
        differing: The indices of the samples that they predict differently: as another class, or
            outputs that are no scores by more than 1e-4 of the largest magnitude. int64[differing].
        largest_difference: The largest absolute difference of two probabilities, or outputs.
    """

    samples: int
    differing: Array
    largest_difference: float


def evaluate(predictions: Array, truth: Array, classes: Sequence[str] = ()) -> Evaluation:
    """Compare predictions with the truth.

    Args:
        predictions: A model's output, [samples, ...].
        truth: Labels, int[samples], or targets, float[samples, ...].
        classes: The names of the classes, or none.

    Raises:
        EvaluationError: They do not fit each other, or predictions are not finite.
    """
    if truth.dtype.kind == "f":
        return evaluate_targets(predictions, truth)
    return evaluate_scores(predictions, truth, classes)


def evaluate_scores(scores: Array, labels: Array, classes: Sequence[str] = ()) -> Classification:
    """Compare scores with labels.

    Args:
        scores: Probabilities or logits, float[samples, classes]; of two classes one column may be
            left out, which is a sigmoid's output or what goes into it.
        labels: The true classes, int[samples].
        classes: Their names, or none.

    Raises:
        EvaluationError: They do not fit each other, or scores are not finite.
    """
    if scores.ndim != 2:
        raise EvaluationError(
            f"the model gives {_spell(scores.shape[1:])} a sample, and labels need a row of scores"
        )
    _check_samples(scores, labels)
    kind = score_kind(scores)
    columns = _columns(scores, kind)
    count = columns.shape[1]
    names = tuple(classes) or tuple(map(str, range(count)))
    _check_classes(labels, names, count)
    loss = float(_losses(columns, labels, kind).mean())
    return _classification(columns.argmax(axis=1), labels, names, kind, loss)


def evaluate_best(best: Array, labels: Array, classes: Sequence[str] = ()) -> Classification:
    """Compare the best classes, as a file with a top-K output gives them, with labels.

    Args:
        best: The classes with the highest scores, highest first, int64[samples, k].
        labels: The true classes, int[samples].
        classes: Their names, or none: there are as many as the highest number needs.

    Raises:
        EvaluationError: They do not fit each other.
    """
    _check_samples(best, labels)
    most = len(classes) or _MOST_CLASSES
    if best.min() < 0 or best.max() >= most:
        wrong = best.min() if best.min() < 0 else best.max()
        known = f"{most:,}" if classes else f"at most {most:,}, without names of classes"
        raise EvaluationError(f"the model gives class {wrong:,}, and there are {known}")
    count = len(classes) or 1 + int(max(best.max(), min(labels.max(), most - 1)))
    names = tuple(classes) or tuple(map(str, range(count)))
    _check_classes(labels, names, count)
    found = _classification(best[:, 0], labels, names, "best classes", None)
    among = float((best == labels[:, None]).any(axis=1).mean())
    return replace(found, among_best=(best.shape[1], among))


def _classification(
    predicted: Array, labels: Array, names: tuple[str, ...], kind: ScoreKind, loss: float | None
) -> Classification:
    count = len(names)
    pairs = labels.astype(np.int64) * count + predicted
    confusion = np.bincount(pairs, minlength=count * count).reshape(count, count)
    right, support = confusion.diagonal(), confusion.sum(axis=1)
    return Classification(
        samples=len(labels),
        kind=kind,
        loss=loss,
        accuracy=float(right.sum() / len(labels)),
        classes=names,
        precision=_share(right, confusion.sum(axis=0)),
        recall=_share(right, support),
        support=support,
        confusion=confusion,
    )


def evaluate_targets(outputs: Array, targets: Array) -> Regression:
    """Compare outputs with targets.

    Args:
        outputs: A model's output, float[samples, ...].
        targets: What it should be, of the same shape; one number a sample may lack its axis.

    Raises:
        EvaluationError: Their shapes differ, or outputs are not finite.
    """
    if targets.shape == (len(outputs),) and outputs.size == len(outputs):
        targets = targets.reshape(outputs.shape)
    if outputs.shape != targets.shape:
        raise EvaluationError(
            f"the model gives {_spell(outputs.shape[1:])} a sample, and the targets are "
            f"{_spell(targets.shape[1:])}"
        )
    _check_samples(outputs, targets)
    difference = np.subtract(outputs, targets, dtype=np.float64)
    return Regression(
        samples=len(outputs),
        mean_squared_error=float(np.mean(np.square(difference))),
        mean_absolute_error=float(np.mean(np.abs(difference))),
    )


def compare(first: Array, second: Array, truth: Array) -> Agreement:
    """Compare two engines' predictions on the same samples.

    Args:
        first: One engine's output, [samples, ...].
        second: The other's, of the same shape.
        truth: Labels or targets, which say whether the outputs are scores.

    Raises:
        EvaluationError: Their shapes differ, or they are not finite.
    """
    if first.shape != second.shape:
        raise EvaluationError(
            f"one engine gives {list(first.shape)} and the other {list(second.shape)}"
        )
    for predictions in (first, second):
        _check_samples(predictions, truth)
    if truth.dtype.kind == "f":
        difference = np.abs(np.subtract(first, second, dtype=np.float64)).reshape(len(first), -1)
        bound = _SAME_OUTPUT * max(np.abs(first).max(), np.abs(second).max())
        differ = (difference > bound).any(axis=1)
    else:
        one, other = class_probabilities(first), class_probabilities(second)
        difference = np.abs(one - other)
        differ = one.argmax(axis=1) != other.argmax(axis=1)
    return Agreement(len(first), np.flatnonzero(differ), float(difference.max()))


def score_kind(scores: Array) -> ScoreKind:
    """Whether scores are probabilities, by their values: float[samples, classes]."""
    if scores.min() < 0:
        return "logits"
    if scores.shape[1] == 1:
        return "probabilities" if scores.max() <= 1 else "logits"
    sums = scores.sum(axis=1, dtype=np.float64)
    return "probabilities" if np.abs(sums - 1).max() <= _SUM_TOLERANCE else "logits"


def class_probabilities(scores: Array) -> Array:
    """Scores as a probability for each class.

    Args:
        scores: Probabilities or logits, float[samples, classes]; of two classes one column may be
            left out.

    Returns:
        float64[samples, classes]: probabilities as they are, logits through softmax.
    """
    kind = score_kind(scores)
    columns = _columns(scores, kind).astype(np.float64)
    if kind == "probabilities":
        return columns
    powers = np.exp(columns - columns.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _columns(scores: Array, kind: ScoreKind) -> Array:
    """A column for each class, in float32 at least."""
    scores = scores.astype(np.promote_types(scores.dtype, np.float32), copy=False)
    if scores.shape[1] > 1:
        return scores
    return np.hstack([1 - scores if kind == "probabilities" else np.zeros_like(scores), scores])


def _losses(columns: Array, labels: Array, kind: ScoreKind) -> Array:
    """The cross-entropy of each sample in nats: float64[samples]."""
    rows = np.arange(len(labels))
    if kind == "probabilities":
        chosen = columns[rows, labels].astype(np.float64)
        return np.asarray(-np.log(np.maximum(chosen, SMALLEST_PROBABILITY)))
    below = columns - columns.max(axis=1, keepdims=True)
    total = np.exp(below).sum(axis=1, dtype=np.float64)
    return np.asarray(np.log(total) - below[rows, labels])


def _share(part: Array, whole: Array) -> Array:
    return np.asarray(np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0))


def _check_samples(predictions: Array, truth: Array) -> None:
    if len(predictions) != len(truth):
        raise EvaluationError(f"{len(predictions)} predictions for {len(truth)} samples")
    if not predictions.size:
        raise EvaluationError("there are no samples to evaluate")
    broken = np.flatnonzero(~np.isfinite(predictions).reshape(len(predictions), -1).all(axis=1))
    if len(broken):
        raise EvaluationError(
            f"{len(broken):,} of {len(predictions):,} predictions are not finite, "
            f"the first that of sample {broken[0]}",
            hint="weights that hold NaN or infinity, or scores that overflow",
        )


def _check_classes(labels: Array, names: Sequence[Any], count: int) -> None:
    if len(names) != count:
        raise EvaluationError(
            f"the model gives scores for {count} classes, and the data have {len(names)}"
        )
    if labels.min() < 0 or labels.max() >= count:
        wrong = labels.min() if labels.min() < 0 else labels.max()
        raise EvaluationError(
            f"the model gives scores for {count} classes, and there is a label {wrong}",
            hint="classes are counted from 0",
        )


def _spell(sizes: Sequence[int]) -> str:
    """The sizes of one sample in words."""
    return f"{'x'.join(map(str, sizes))} numbers" if sizes else "one number"
