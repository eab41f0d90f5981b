"""Running a model over a data set, to find out how good and how fast it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from .classes import common_classes
from .datasets import Dataset, Split, read_file_data
from .errors import DataError, EvaluationError
from .runtime.predict import Predictor, Progress
from .runtime.settings import Provider, Settings
from .runtime.signature import Array
from .scoring import (
    Agreement,
    Evaluation,
    class_probabilities,
    evaluate,
    evaluate_best,
    evaluate_scores,
)

SplitName = Literal["test", "train"]


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
    dataset = read_file_data(data, predictor)
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
    dataset = read_file_data(data, predictor)
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
    judge: Callable[[Array, Array, Sequence[str]], Evaluation] = evaluate,
) -> tuple[Measurement, Array]:
    """Run a model over samples, and compare what it gives with the truth.

    Args:
        engine: What runs it, for people.
        predict: Runs it, and calls what it is given after each batch.
        truth: Labels or targets, as `evaluate` takes them.
        classes: The names of the classes, or none.
        progress: Called with the samples done so far, and in all.
        judge: Compares predictions with the truth.

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
    evaluation = judge(predictions, truth, classes)
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
