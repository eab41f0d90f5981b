r"""How good a file still is beside its float32 original, and what is enough.

With labels it is the accuracy. Without, it is the signal-to-noise ratio of the output in decibels,

.. math:: 10 \log_{10} \frac{\sum y^2}{\sum (y - \hat y)^2},

over all numbers of all samples, where :math:`y` is what the float32 file gives.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from graphcnn.errors import CheckFailed, DataError, EvaluationError, OptionError
from graphcnn.onnx_file import read_onnx_file
from graphcnn.runtime.predict import Predictor, Progress, Samples
from graphcnn.runtime.settings import Settings
from graphcnn.runtime.signature import Array
from graphcnn.scoring import evaluate_best, evaluate_scores

_LIMIT = re.compile(r"\s*(accuracy|snr)\s*=\s*(\d+(?:\.\d*)?|\.\d+)\s*")


_PLAIN = Settings(provider="cpu")
"""Integers are for its kernels."""

_MOST_SAMPLES = 256
_MOST_BYTES = 256 * 2**20
"""Samples run together, and the activations that they may take."""

_SILENCE = float(np.finfo(np.float64).tiny)
"""The least signal: a ratio to nothing is far below any limit, and still a number."""


@dataclass(frozen=True, slots=True)
class Quality:
    """How good a file is on held-out samples.

    Attributes:
        accuracy: The share of samples whose highest score is that of their class; None without
            labels.
        snr: The signal-to-noise ratio of the output in dB beside the float32 file's; infinite where
            they are equal.
    """

    accuracy: float | None
    snr: float


@dataclass(frozen=True, slots=True)
class Limit:
    """What a smaller file must keep, spelled ``accuracy=0.002`` or ``snr=30``.

    Attributes:
        kind: What is limited.
        value: The most accuracy that may be lost, as a share of the samples; or the least
            signal-to-noise ratio in dB.
    """

    kind: Literal["accuracy", "snr"]
    value: float

    @classmethod
    def parse(cls, text: str) -> Limit:
        """Read a limit as people write it.

        Raises:
            OptionError: It is none.
        """
        match = _LIMIT.fullmatch(text)
        if match is None:
            raise OptionError(
                f"budget: expected accuracy=SHARE or snr=DECIBELS, found {text!r:.80}",
                hint="accuracy=0.002 is at most 0.2 points lost; snr=30 is noise of 3 percent",
            )
        value = float(match[2])
        if match[1] == "accuracy" and value > 1:
            raise OptionError(
                f"budget: an accuracy is a share from 0 to 1, found {match[2]}",
                hint=f"accuracy={value / 100:g} is {value:g} points",
            )
        return cls("accuracy" if match[1] == "accuracy" else "snr", value)

    def holds(self, original: Quality, quality: Quality) -> bool:
        """Whether a quality is good enough beside the original's."""
        return self.excess(original, quality) <= 0

    def excess(self, original: Quality, quality: Quality) -> float:
        """How far a quality is beyond the limit, in the limit's unit; 0 or less where it holds."""
        if self.kind == "snr":
            return self.value - quality.snr
        if original.accuracy is None or quality.accuracy is None:
            raise DataError("the data have no labels to tell the accuracy by", hint="snr=30")
        # Shares of samples are counts: a difference of 20 of 10,000 is 0.002, not a hair more.
        return round(original.accuracy - quality.accuracy - self.value, 9)

    def __str__(self) -> str:
        if self.kind == "snr":
            return f"at least {self.value:g} dB"
        return f"at most {self.value * 100:g} points of accuracy lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityReport:
    """How good a file is beside its float32 original.

    Attributes:
        original: The float32 file's quality.
        quality: The file's own.
        limit: What had to be kept, if anything.
        held_out: How many samples they were measured on.
        split: Where those are from, for people.
    """

    original: Quality
    quality: Quality
    limit: Limit | None
    held_out: int
    split: str

    @property
    def holds(self) -> bool:
        """Whether what had to be kept is."""
        return self.limit is None or self.limit.holds(self.original, self.quality)

    @property
    def loss(self) -> str:
        """What was lost, for people."""
        before, after = self.original.accuracy, self.quality.accuracy
        noise = "no noise" if math.isinf(self.quality.snr) else f"{self.quality.snr:.1f} dB"
        if before is None or after is None or (self.limit and self.limit.kind == "snr"):
            return noise
        return f"{before:.2%} to {after:.2%} accurate ({(after - before) * 100:+.2f} points)"


class BudgetExceeded(CheckFailed):
    """A file that does not keep what it must.

    Attributes:
        quality: How good the best file is.
    """

    def __init__(
        self,
        quality: QualityReport,
        detail: str,
        hint: str = "a larger budget",
        context: Sequence[tuple[str, str]] = (),
    ) -> None:
        message = f"the budget does not hold: {quality.limit}, and {detail} is {quality.loss}"
        super().__init__(message, hint=hint, context=context)
        self.quality = quality


class Reference:
    """What the float32 file gives on held-out samples: what others are measured by.

    Args:
        path: The float32 file.
        x: The samples, channels last.
        labels: Their classes, int64[samples], or None.
        progress: Called with the samples done so far, and in all.

    Attributes:
        quality: The float32 file's own.

    Raises:
        GraphCNNError: Of the kind that says what does not fit.
    """

    def __init__(
        self,
        path: Path,
        x: Samples,
        labels: Array | None,
        progress: Progress = lambda done, total: None,
    ) -> None:
        self._x, self._labels = x, labels
        peak = read_onnx_file(path).peak.bytes or _MOST_BYTES
        self._batch = max(1, min(_MOST_SAMPLES, _MOST_BYTES // max(1, peak)))
        self._outputs, self._best = self._predict(path, x, progress)
        self.quality = self.first(len(x))

    def __len__(self) -> int:
        return len(self._x)

    def measure(
        self,
        path: Path,
        samples: int | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
        settings: Settings = _PLAIN,
    ) -> Quality:
        """How good another file is.

        Args:
            path: The file.
            samples: How many of the samples are used, from the first; all if None.
            progress: Called with the samples done so far, and in all.
            settings: How it is run; on the CPU if they do not say.

        Raises:
            EvaluationError: Its outputs are not finite.
            RuntimeFailure: It cannot be run.
        """
        x = self._x if samples is None else self._x[:samples]
        outputs, best = self._predict(path, x, progress, settings)
        return Quality(self._accuracy(outputs, best), self._snr(outputs))

    def first(self, samples: int) -> Quality:
        """The float32 file's quality on the first samples alone."""
        best = None if self._best is None else self._best[:samples]
        return Quality(self._accuracy(self._outputs[:samples], best), math.inf)

    def _predict(
        self, path: Path, x: Samples, progress: Progress, settings: Settings = _PLAIN
    ) -> tuple[Array, Array | None]:
        """What a file gives, and the best classes where these are the scores of the best alone."""
        predictor = Predictor(path, settings)
        outputs = predictor.predict(x, self._batch, progress)
        broken = len(outputs) - np.isfinite(outputs).reshape(len(outputs), -1).all(axis=1).sum()
        if broken:
            raise EvaluationError(
                f"{broken:,} of {len(outputs):,} predictions are not finite",
                hint="weights or samples that hold NaN or infinity, or numbers that overflow",
            )
        if self._labels is None or predictor.best is None:
            return outputs, None
        return outputs, predictor.predict(x, self._batch, output=predictor.best)

    def _accuracy(self, outputs: Array, best: Array | None) -> float | None:
        if self._labels is None:
            return None
        labels = self._labels[: len(outputs)]
        if best is not None:
            return evaluate_best(best, labels).accuracy
        return evaluate_scores(outputs, labels).accuracy

    def _snr(self, outputs: Array) -> float:
        expected = self._outputs[: len(outputs)]
        noise = np.square(np.subtract(expected, outputs, dtype=np.float64)).sum()
        signal = np.square(expected, dtype=np.float64).sum()
        if not noise:
            return math.inf
        return float(10 * np.log10(max(signal, _SILENCE) / noise))
