"""The samples that ranges are calibrated on, and those held out to measure what is lost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from graphcnn.datasets import read_file_data
from graphcnn.datasets.dataset import Split
from graphcnn.errors import DataError
from graphcnn.runtime.predict import Predictor
from graphcnn.runtime.signature import Array

_FEWEST = 2


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Some rows of an array, copied as they are asked for: the array may be a mapped file.

    Attributes:
        array: [samples, ...].
        indices: The rows, int64[rows].
    """

    array: Array
    indices: Array

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, rows: slice) -> Array:
        return np.asarray(self.array[self.indices[rows]])


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Samples to quantize a model by; no sample is in both parts.

    Attributes:
        source: What the user named.
        calibration: What ranges are measured on, channels last.
        held_out: What losses are measured on, channels last, in an order drawn by chance: the first
            few stand for all, also where files are sorted by class.
        labels: The classes of these, int64[samples]; None where there are none.
        split: Where these are from, for people.
    """

    source: str
    calibration: Rows
    held_out: Rows
    labels: Array | None
    split: str


def read_samples(source: str, predictor: Predictor, count: int, seed: int = 0) -> Samples:
    """Read samples for a model of one input.

    Args:
        source: What `graphcnn.datasets.read_dataset` takes, or a .npy file of samples without
            labels, channels last.
        predictor: The model.
        count: How many are calibrated on, at most; they are drawn from the training split, and all
            of the test split is held out. Of a single split half is held out.
        seed: What they are drawn from.

    Raises:
        DataError: The data cannot be read, do not fit the model, or are too few.
    """
    rng = np.random.default_rng(seed)
    if Path(source).suffix == ".npy":
        x = _read_unlabelled(source, predictor.input_sizes)
        return _halves(source, x, None, count, "half of the samples", rng)
    data = read_file_data(source, predictor)
    if data.train is not None and data.test is not None:
        drawn = _drawn(len(data.train), count, rng)
        order, labels = rng.permutation(len(data.test)), _labels(data.test)
        rows, held_out = Rows(data.train.x, drawn), Rows(data.test.x, order)
        chosen = None if labels is None else labels[order]
        return Samples(source, rows, held_out, chosen, "the test split")
    only = data.train or data.test
    assert only is not None
    name = f"half of the {'training' if data.train else 'test'} split"
    return _halves(source, only.x, _labels(only), count, name, rng)


def _halves(
    source: str,
    x: Array,
    labels: Array | None,
    count: int,
    name: str,
    rng: np.random.Generator,
) -> Samples:
    if len(x) < _FEWEST:
        raise DataError(
            f"{len(x)} samples, and at least {_FEWEST} are needed: to calibrate, and held out",
            subject=source,
        )
    order = rng.permutation(len(x))
    half = len(x) // 2
    held_out = order[half:]
    rows = Rows(x, np.sort(order[: min(half, count)]))
    chosen = None if labels is None else labels[held_out]
    return Samples(source, rows, Rows(x, held_out), chosen, name)


def _drawn(size: int, count: int, rng: np.random.Generator) -> Array:
    return np.sort(rng.choice(size, min(size, count), replace=False))


def _labels(split: Split) -> Array | None:
    """The classes of samples; targets are none."""
    return None if split.y.dtype.kind == "f" else split.y


def _read_unlabelled(source: str, sizes: tuple[int | None, ...]) -> Array:
    """Map a .npy file of samples into memory, with the axis of a single channel."""
    hint = "np.save writes it: one array [samples, height, width, channels] of numbers"
    try:
        x: Array = np.load(source, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", subject=source) from error
    except (EOFError, ValueError) as error:
        raise DataError(f"not a .npy file of numbers: {error}", subject=source, hint=hint) from None
    if not isinstance(x, np.ndarray):
        raise DataError("several arrays, as in an .npz file", subject=source, hint=hint)
    if x.dtype.kind not in "uif":
        raise DataError(f"expected numbers, found {x.dtype}", subject=source, hint=hint)
    if sizes and sizes[-1] == 1 and x.ndim == len(sizes):
        x = x[..., np.newaxis]
    fits = x.ndim == len(sizes) + 1 and all(
        size in (None, found) for size, found in zip(sizes, x.shape[1:], strict=True)
    )
    if not fits:
        wanted = ", ".join("?" if size is None else str(size) for size in sizes)
        raise DataError(
            f"expected samples of [{wanted}], found {list(x.shape[1:])}", subject=source, hint=hint
        )
    return x
