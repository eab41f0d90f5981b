"""What both models are run on: random numbers, drawn again for each pass over them, or data."""

from __future__ import annotations

import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from graphcnn.datasets import read_dataset
from graphcnn.errors import GraphCNNError, VerificationError
from graphcnn.runtime.images import IMAGE_SUFFIXES
from graphcnn.runtime.inputs import read_inputs
from graphcnn.runtime.predict import channels_last
from graphcnn.runtime.signature import Array

from .side import Sizes, open_spec

_ARRAYS = (".npy", ".npz", *IMAGE_SUFFIXES)
_SPLITS = ("x_test.npy", "x_train.npy")


@dataclass(frozen=True, slots=True)
class Wanted:
    """An input of both models.

    Attributes:
        name: Its name in A.
        sizes: Of one sample, channels last; None where both take any.
        dtypes: Its element type in A, and in B.
    """

    name: str
    sizes: Sizes
    dtypes: tuple[np.dtype[Any], np.dtype[Any]]


class Samples(ABC):
    """Samples that can be gone through several times.

    Attributes:
        count: How many there are.
        source: Where they come from, for people.
    """

    count: int
    source: str

    @abstractmethod
    def batches(self, size: int) -> Iterator[dict[str, Array]]:
        """At most `size` samples at a time, channels last, by the inputs' names in A."""


class RandomSamples(Samples):
    """Random numbers, the same in each pass, however they are divided into batches.

    An input that either model takes as integers gets integers, from 0 to 255 if no range is given;
    others get numbers of a standard normal distribution, or uniform ones of the range, which the
    narrower of the two types holds exactly.

    Args:
        count: How many samples.
        wanted: The inputs, their sizes known.
        seed: What the numbers are drawn from.
        limits: The least and the greatest number.
    """

    def __init__(
        self,
        count: int,
        wanted: Sequence[Wanted],
        seed: int,
        limits: tuple[float, float] | None = None,
    ) -> None:
        self.count = count
        self.source = f"{count} random samples, seed {seed}"
        self._wanted, self._seed, self._limits = wanted, seed, limits

    def batches(self, size: int) -> Iterator[dict[str, Array]]:
        """See `Samples.batches`."""
        streams = np.random.default_rng(self._seed).spawn(len(self._wanted))
        for start in range(0, self.count, size):
            rows = min(size, self.count - start)
            yield {
                wanted.name: self._drawn(rng, rows, wanted)
                for rng, wanted in zip(streams, self._wanted, strict=True)
            }

    def _drawn(self, rng: np.random.Generator, rows: int, wanted: Wanted) -> Array:
        shape = (rows, *(size or 1 for size in wanted.sizes))
        narrow = min(wanted.dtypes, key=lambda dtype: (dtype.kind == "f", dtype.itemsize))
        if narrow.kind != "f":
            low, high = self._limits or (0, _greatest(narrow))
            return rng.integers(int(low), int(high), shape, np.int64, endpoint=True)
        if self._limits is None:
            drawn = rng.standard_normal(shape, np.float32)
        else:
            drawn = rng.uniform(*self._limits, shape).astype(np.float32)
        return drawn.astype(narrow)


class ArraySamples(Samples):
    """Arrays in memory, or mapped.

    Args:
        arrays: By the inputs' names in A, channels last, [samples, ...].
        source: Where they come from.
    """

    def __init__(self, arrays: Mapping[str, Array], source: str) -> None:
        self.count = len(next(iter(arrays.values())))
        self.source = f"{self.count:,} samples of {source}"
        self._arrays = arrays

    def batches(self, size: int) -> Iterator[dict[str, Array]]:
        """See `Samples.batches`."""
        for start in range(0, self.count, size):
            yield {name: array[start : start + size] for name, array in self._arrays.items()}


def read_samples(data: str | Path, wanted: Sequence[Wanted]) -> ArraySamples:
    """Read data for two models.

    Args:
        data: A .npy file, an .npz file with an array for each input by its name in A, an image, or
            data that `graphcnn.datasets.read_dataset` reads, of which the test samples are taken
            where there are any. Arrays are channels last, or channels first where only that fits.
        wanted: The inputs.

    Raises:
        GraphCNNError: They cannot be read, or do not fit.
    """
    path = Path(data)
    if path.suffix.lower() not in _ARRAYS or _is_dataset(path):
        if len(wanted) != 1:
            raise VerificationError(
                f"{data} is for models of one input, and these have {len(wanted)}",
                hint="an .npz file holds an array for each: np.savez('inputs.npz', **arrays)",
            )
        found = read_dataset(str(data), wanted[0].sizes)
        split = found.test or found.train
        assert split is not None
        return ArraySamples({wanted[0].name: split.x}, str(data))
    specs = [open_spec(item.name, item.sizes, item.dtypes[0]) for item in wanted]
    try:
        return ArraySamples(read_inputs(path, specs), str(data))
    except GraphCNNError:
        swapped = [spec.swapped() or spec for spec in specs]
        try:
            arrays = read_inputs(path, swapped)
        except GraphCNNError:
            arrays = None
        if arrays is None or swapped == specs:
            raise
    return ArraySamples(
        {spec.name: channels_last(arrays[spec.name], spec) for spec in swapped}, str(data)
    )


def with_open_sizes(wanted: Sequence[Wanted], size: int) -> list[Wanted]:
    """The inputs with a number for each size that both models leave open."""
    return [
        replace(item, sizes=tuple(size if known is None else known for known in item.sizes))
        for item in wanted
    ]


def _is_dataset(path: Path) -> bool:
    """Whether an .npz file holds training or test data, by the names of its arrays."""
    if path.suffix.lower() != ".npz" or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name in archive.namelist() for name in _SPLITS)


def _greatest(dtype: np.dtype[Any]) -> int:
    return 1 if dtype.kind == "b" else min(255, int(np.iinfo(dtype).max))
