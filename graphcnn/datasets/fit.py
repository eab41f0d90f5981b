"""Data checked against the model: counts, shapes, types, labels and class names."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from graphcnn.errors import DataError
from graphcnn.options import shorten
from graphcnn.runtime.signature import Array

from .dataset import Dataset, Split

Sizes = tuple[int | None, ...]
"""Sizes of one sample; None where any will do."""

_WIDEST = 8
"""Bytes of a number; only numpy knows longer ones."""

_CHECKED_AT_ONCE = 2**22
"""Numbers whose finiteness is looked at together, to keep memory near the data's own size."""


def fit_dataset(
    data: Dataset, sizes: Sizes, outputs: tuple[int, ...] | None, camera: bool = False
) -> Dataset:
    """Fit data to a model's input and output.

    Args:
        data: What a reader has read.
        sizes: The sizes of one sample of the model's input, channels last.
        outputs: The sizes of one sample of the model's output; None if it does not matter.
        camera: Whether the sizes are those of a camera's images, which the model resizes.

    Returns:
        The same, with contiguous arrays, the axis of a single channel in x, and y as int64 labels
        (samples,) or float32 targets (samples, *outputs).

    Raises:
        DataError: Something does not fit; it says what was found and what was expected.
    """
    if not data.splits:
        raise DataError("no data for training or test", subject=data.source)
    _check_names(data)
    fitted = {
        name: _Fit(data.source, name, sizes, outputs, data.classes, camera).split(split)
        for name, split in data.splits.items()
    }
    _check_alike(data.source, list(fitted.values()))
    return replace(data, train=fitted.get("training"), test=fitted.get("test"))


def spell(sizes: Sizes) -> str:
    """Sizes in words, such as ``[28, 28, 1]``, with ``?`` where any will do."""
    return f"[{', '.join('?' if size is None else str(size) for size in sizes)}]"


def _check_names(data: Dataset) -> None:
    wrong = [name for name in data.classes if not name or not name.isprintable()]
    if wrong:
        raise DataError(
            f"a class is called {shorten(wrong[0])}",
            subject=data.source,
            hint="class names are printable text",
        )
    twice = [name for name in set(data.classes) if data.classes.count(name) > 1]
    if twice:
        raise DataError(f"two classes are called {shorten(min(twice))}", subject=data.source)


def _check_alike(source: str, splits: list[Split]) -> None:
    """Training and test data of different types are most likely scaled differently."""
    for part in ("x", "y"):
        found = [getattr(split, part).dtype.name for split in splits]
        if found[0] != found[-1]:
            raise DataError(
                f"{part} is {found[0]} for training and {found[-1]} for test", subject=source
            )


@dataclass(frozen=True, slots=True)
class _Fit:
    """What one split is fitted to.

    Attributes:
        source: What the user named.
        name: What messages call the split.
        sizes: Of the model's input.
        outputs: Of the model's output.
        classes: The names of the classes.
        camera: Whether the model's input is a camera's image.
    """

    source: str
    name: str
    sizes: Sizes
    outputs: tuple[int, ...] | None
    classes: tuple[str, ...]
    camera: bool

    def split(self, split: Split) -> Split:
        for array in (split.x, split.y):
            if array.dtype.kind not in "biuf" or array.dtype.itemsize > _WIDEST:
                raise self._error(f"expected numbers, found an array of {array.dtype}")
            if not array.ndim or not array.size:
                raise self._error(f"an array of shape {list(array.shape)} has no samples")
        if len(split.x) != len(split.y):
            raise self._error(f"{len(split.x):,} samples, and labels for {len(split.y):,}")
        integers = split.y.dtype.kind in "biu"
        return Split(self._x(split.x), (self._labels if integers else self._targets)(split.y))

    def _x(self, x: Array) -> Array:
        if x.dtype.kind == "b":
            raise self._error(
                "expected numbers, found an array of bool", hint="x.astype('uint8') makes them 0, 1"
            )
        for shape in (x.shape, (*x.shape, 1)):
            if _accepts(self.sizes, shape[1:]):
                x = np.ascontiguousarray(x).reshape(shape)
                self._check_finite(x, "sample")
                return x
        raise self._error(
            f"samples of {list(x.shape[1:])}, and the model's input is {spell(self.sizes)}",
            hint=self._mend(x.shape),
        )

    def _mend(self, shape: tuple[int, ...]) -> str:
        if len(shape) > 2 and _accepts(self.sizes, (*shape[2:], shape[1])):
            return "these are channels first: np.moveaxis(x, 1, -1) puts the channels last"
        if self.camera:
            return "--camera-size gave the file its input: compile it without, or convert the data"
        return "change the sizes of the model's input, or convert the data"

    def _labels(self, y: Array) -> Array:
        if y.ndim > 2 or y[0].size != 1:
            raise self._error(
                f"integer labels of shape {list(y.shape)}: expected one label a sample",
                hint="y.argmax(axis=1) of a one-hot y; targets of a regression are floats",
            )
        if self.outputs is not None and len(self.outputs) != 1:
            raise self._error(
                f"labels of classes, and the model's output is {spell(self.outputs)}",
                hint="targets of a regression are floats, of the output's shape",
            )
        labels = y.reshape(-1)
        count = self._count()
        if self.classes and count != len(self.classes):
            raise self._error(
                f"{len(self.classes)} class names, and the model tells {count} classes apart"
            )
        self._check_range(labels, count)
        return labels.astype(np.int64, copy=False)

    def _count(self) -> int | None:
        """How many classes there are; one output tells two apart."""
        if self.outputs is None:
            return len(self.classes) or None
        return max(2, self.outputs[0])

    def _check_range(self, labels: Array, count: int | None) -> None:
        lowest, highest = labels.min(), labels.max()
        if lowest >= 0 and (count is None or highest < count):
            return
        wrong = (labels < 0) | (labels >= (np.inf if count is None else count))
        at = int(np.argmax(wrong))
        allowed = "0 or more" if count is None else f"0 to {count - 1}"
        raise self._error(
            f"label {labels[at]} at index {at}, and labels are {allowed}",
            hint=None if self.outputs is None else f"the model's output is {spell(self.outputs)}",
        )

    def _targets(self, y: Array) -> Array:
        if self.outputs == (1,) and y.ndim == 1:
            y = y.reshape(-1, 1)
        if self.outputs is not None and y.shape[1:] != self.outputs:
            raise self._error(
                f"targets of shape {list(y.shape[1:])}, "
                f"and the model's output is {spell(self.outputs)}",
                hint="labels of classes are integers: y.astype('int64')",
            )
        with np.errstate(over="ignore"):
            targets = np.ascontiguousarray(y, np.float32)
        self._check_finite(targets, "target")
        return targets

    def _check_finite(self, array: Array, what: str) -> None:
        if array.dtype.kind != "f":
            return
        rows = max(1, _CHECKED_AT_ONCE // math.prod(array.shape[1:]))
        for start in range(0, len(array), rows):
            block = array[start : start + rows]
            finite = np.isfinite(block).reshape(len(block), -1).all(axis=1)
            if not finite.all():
                at = start + int(np.argmin(finite))
                raise self._error(f"{what} {at} holds numbers that are not finite in {array.dtype}")

    def _error(self, message: str, hint: str | None = None) -> DataError:
        return DataError(f"{self.name} data: {message}", subject=self.source, hint=hint)


def _accepts(sizes: Sizes, shape: tuple[int, ...]) -> bool:
    return len(sizes) == len(shape) and all(
        size is None or size == found for size, found in zip(sizes, shape, strict=True)
    )
