"""Digits and a model that train in a second, and what tests of training share."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

import graphcnn
from graphcnn.datasets import Dataset
from graphcnn.datasets.dataset import Split
from graphcnn.graph import Graph
from graphcnn.recipe import Recipe
from graphcnn.recipe.history import Record

if TYPE_CHECKING:
    from graphcnn.training import TrainResult

Array = np.ndarray[Any, np.dtype[Any]]

MODEL = """
name: digits
inputs: {image: [8, 8, 1]}
layers:
  - Rescaling: {scale: 0.004166666666666667}
  - Conv2D:
      filters: 8
      kernel_size: 3
      use_bias: false
      kernel_regularizer: {l2: 0.001}
      name: conv
  - BatchNormalization: {momentum: 0.9, name: norm}
  - ReLU
  - Flatten
  - Dropout: {rate: 0.1}
  - Dense: {units: 10, activation: softmax, name: scores}
train:
  optimizer: {adam: {learning_rate: {cosine_decay: {initial_learning_rate: 0.02}}}}
  epochs: 4
  batch_size: 32
  validation_split: 0.1
  augmentation: [RandomCrop: {padding: 1}]
"""
"""All that makes exactness hard: statistics, random numbers, a schedule and a held-back share."""

PLAIN = """
name: plain
inputs: {image: [8, 8, 1]}
layers:
  - Rescaling: {scale: 0.004166666666666667}
  - Conv2D: {filters: 4, kernel_size: 3, strides: 2, activation: relu, name: conv}
  - Flatten
  - Dense: {units: 10, activation: softmax, name: scores}
train: {epochs: 2, batch_size: 32}
"""
"""Nothing that draws at random but the order of the data."""


@functools.cache
def digits() -> tuple[Array, Array]:
    """Images of 8x8 pixels of 0 to 240, and their labels."""
    from sklearn.datasets import load_digits

    found = load_digits()
    arrays = (15 * found.images[..., None]).astype(np.uint8), found.target
    for array in arrays:
        array.flags.writeable = False
    return arrays


def dataset(samples: int = 300, test: int = 0, classes: Sequence[str] = ()) -> Dataset:
    """Samples to train on, and others to test on."""
    x, y = digits()
    held = Split(x[-test:], y[-test:]) if test else None
    return Dataset("digits", Split(x[:samples], y[:samples]), held, tuple(classes))


def write_digits(path: Path, samples: int = 300, test: int = 300) -> Path:
    """The same as a file."""
    found = dataset(samples, test)
    arrays = {
        f"{part}_{name}": getattr(split, part)
        for name, split in (("train", found.train), ("test", found.test))
        for part in ("x", "y")
    }
    np.savez(path, **arrays)
    return path


def graph_of(text: str) -> Graph:
    """The graph of a model file's text, with its recipe."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.yaml"
        path.write_text(text)
        return graphcnn.load(path)


class Quiet:
    """A `graphcnn.training.Progress` that keeps what it is told."""

    def __init__(self) -> None:
        self.before: tuple[Record, ...] = ()
        self.notes: tuple[str, ...] = ()
        self.records: list[Record] = []
        self.begun: list[int] = []
        self.done = 0

    def started(self, history: Sequence[Record], notes: Sequence[str]) -> None:
        self.before, self.notes = tuple(history), tuple(notes)

    def epoch(self, number: int, steps: int) -> None:
        self.begun.append(number)

    def steps(self, count: int, loss: float) -> None:
        self.done += count

    def record(self, record: Record) -> None:
        self.records.append(record)


def trained(
    folder: Path,
    graph: Graph | str = MODEL,
    data: Dataset | None = None,
    progress: Quiet | None = None,
    changes: Mapping[str, Any] = {},  # it is only read
    **options: Any,
) -> TrainResult:
    """Train in a directory.

    Args:
        folder: The run's.
        graph: The model, or the text of its file.
        data: Digits if None.
        progress: Is told how it goes.
        changes: What is put on top of the model's recipe.
        options: What `graphcnn.training.train` takes.
    """
    from graphcnn.training import RunDirectory, train

    graph = graph_of(graph) if isinstance(graph, str) else graph
    recipe = (graph.recipe or Recipe()).with_overrides(**changes)
    run = RunDirectory(folder)
    return train(graph, data or dataset(), recipe, run, progress or Quiet(), **options)
