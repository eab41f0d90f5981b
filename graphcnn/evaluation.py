"""How good predictions are: against the truth, and against another engine's predictions."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from .classes import common_classes
from .datasets import Dataset, Split, read_dataset
from .errors import DataError, EvaluationError
from .runtime.predict import Predictor, Progress
from .runtime.settings import Provider, Settings
from .runtime.signature import Array

ScoreKind = Literal["probabilities", "logits", "best classes"]
SplitName = Literal["test", "train"]

SMALLEST_PROBABILITY = 1e-7
"""A smaller one counts as this, so that a loss stays finite: Keras's epsilon, for the same loss."""

_SUM_TOLERANCE = 1e-3
"""Rows that sum to 1 within this are probabilities: float16 softmax stays below it."""

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
class Measurement:
    """One engine's run over a data set.

    Attributes:
        engine: What ran the model, such as ``TensorFlow``.
        evaluation: How good its predictions are.
        samples_per_second: How fast it gave them, by the wall clock, feeding included; the first
            batch, in which engines set themselves up, does not count where there are more.
    """

    engine: str
    evaluation: Evaluation
    samples_per_second: float


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """A model's evaluation on a data set.

    Attributes:
        model: The file.
        data: Where the samples are from.
        split: Which of its splits, ``test`` or ``train``.
        measurements: One run, or one an engine.
        agreement: How alike two engines' predictions are.
        tuned: The settings that were applied, if they are those of ``deploy.json``.
    """

    model: str
    data: str
    split: SplitName
    measurements: tuple[Measurement, ...]
    agreement: Agreement | None = None
    tuned: Settings | None = None


@dataclass(frozen=True, slots=True)
class PredictedSamples:
    """Samples with their labels and what a model predicts.

    Attributes:
        x: The samples, [samples, ...], channels last.
        y: Their labels, int[samples].
        probabilities: float64[samples, classes].
        classes: The names of the classes; their numbers where they have none.
    """

    x: Array
    y: Array
    probabilities: Array
    classes: tuple[str, ...]


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


def evaluate_file(
    path: str | Path,
    data: str,
    *,
    split: SplitName = "test",
    batch_size: int = 256,
    provider: Provider | None = None,
    progress: Progress = lambda done, total: None,
) -> EvaluationReport:
    """Evaluate an .onnx file in onnxruntime.

    Args:
        path: The file.
        data: What `read_dataset` takes.
        split: Which of its splits.
        batch_size: How many samples run at once, unless the file or its ``deploy.json`` says that.
        provider: What runs it, in place of what ``deploy.json`` says.
        progress: Called with the samples done so far, and in all.

    Raises:
        GraphCNNError: Of the kind that says what cannot be read, or does not fit.
    """
    predictor = Predictor(path, provider=provider)
    dataset = read_dataset(data, predictor.input_sizes, predictor.output_sizes)
    samples = choose_split(dataset, split)
    if predictor.best and samples.y.dtype.kind == "f":
        raise EvaluationError(f"{path} gives the best classes, and {data} has targets")
    measured, _ = measure(
        predictor.engine,
        lambda tick: predictor.predict(samples.x, batch_size, tick, predictor.best),
        samples.y,
        common_classes(dataset.classes, predictor.classes),
        progress,
        evaluate_best if predictor.best else evaluate,
    )
    return EvaluationReport(str(path), data, split, (measured,), tuned=predictor.tuned)


def predict_samples(
    path: str | Path, data: str, *, split: SplitName = "test", count: int, seed: int = 0
) -> PredictedSamples:
    """What an .onnx file predicts for samples drawn at random.

    Args:
        path: The file.
        data: What `read_dataset` takes, with labels.
        split: Which of its splits.
        count: How many samples; all of them where there are fewer.
        seed: What they are drawn from.

    Raises:
        GraphCNNError: Of the kind that says what cannot be read, or does not fit.
    """
    predictor = Predictor(path)
    if predictor.best:
        raise EvaluationError(
            f"{path} gives its best classes alone, and the scores of all are needed",
            hint="a file compiled without --postprocess",
        )
    dataset = read_dataset(data, predictor.input_sizes, predictor.output_sizes)
    samples = choose_split(dataset, split)
    if samples.y.dtype.kind == "f":
        raise DataError("there are targets, and class labels are needed", subject=data)
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(samples), min(count, len(samples)), replace=False)
    x, y = samples.x[chosen], samples.y[chosen]
    scores = predictor.predict(x)
    names = common_classes(dataset.classes, predictor.classes)
    found = evaluate_scores(scores, y, names)
    return PredictedSamples(x, y, class_probabilities(scores), found.classes)


def measure(
    engine: str,
    predict: Callable[[Progress], Array],
    truth: Array,
    classes: Sequence[str],
    progress: Progress = lambda done, total: None,
    judge: Callable[[Array, Array, Sequence[str]], Evaluation] | None = None,
) -> tuple[Measurement, Array]:
    """Run a model over samples, and compare what it gives with the truth.

    Args:
        engine: What runs it, for people.
        predict: Runs it, and calls what it is given after each batch.
        truth: Labels or targets, as `evaluate` takes them.
        classes: The names of the classes, or none.
        progress: Called with the samples done so far, and in all.
        judge: Compares predictions with the truth; `evaluate` if None.

    Returns:
        How well and how fast it does, and its predictions.

    Raises:
        EvaluationError: The predictions do not fit the truth, or are not finite.
    """
    ticks = [(0, time.perf_counter())]

    def tick(done: int, total: int) -> None:
        ticks.append((done, time.perf_counter()))
        progress(done, total)

    predictions = predict(tick)
    evaluation = (judge or evaluate)(predictions, truth, classes)
    (first, start), (last, end) = ticks[1 if len(ticks) > 2 else 0], ticks[-1]
    return Measurement(engine, evaluation, (last - first) / (end - start)), predictions


def choose_split(dataset: Dataset, name: SplitName) -> Split:
    """A split by its name.

    Raises:
        DataError: The data have none of this name.
    """
    found = dataset.test if name == "test" else dataset.train
    if found is None:
        other = "train" if name == "test" else "test"
        raise DataError(
            f"there are no {name} samples", subject=dataset.source, hint=f"--split {other}"
        )
    return found


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
    count = len(classes) or 1 + int(max(best.max(), labels.max()))
    _check_classes(labels, tuple(classes) or range(count), count)
    if best.min() < 0 or best.max() >= count:
        raise EvaluationError(f"the model gives class {best.max()}, and there are {count}")
    names = tuple(classes) or tuple(map(str, range(count)))
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
