"""Running an .onnx file over many samples batch by batch, and for the values of its layers."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol

import numpy as np

from graphcnn.errors import RuntimeFailure, did_you_mean

from .images import in_colors
from .runner import Session, check_rows
from .settings import Provider, Settings
from .signature import Array, TensorSpec

Progress = Callable[[int, int], None]


class Samples(Protocol):
    """Samples in an array, or read as they are asked for."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, rows: slice, /) -> Array:
        """Some of them, [samples, ...]."""


class Predictor:
    """An .onnx file of one input, ready to run over a data set.

    Where the file has several outputs, such as tapped feature maps behind the scores, the first is
    what is predicted.

    Args:
        path: The file.
        settings: How it is run; None: as ``deploy.json`` says, else the defaults.
        provider: What runs it, in place of what the settings say.

    Attributes:
        path: The file.
        tuned: The settings that are applied, if they are those of ``deploy.json``.
        engine: What runs it, for people.
        input: What it takes.
        output: What it gives.
        classes: The names of the classes it tells apart, if the file has them.
        best: The output of the best classes, int64[N, k], if what it gives are their scores.

    Raises:
        MissingExtra: onnxruntime is not installed.
        RuntimeFailure: The file cannot be loaded, or has several inputs.
    """

    def __init__(
        self,
        path: str | Path,
        settings: Settings | None = None,
        *,
        provider: Provider | None = None,
    ) -> None:
        self._session = session = Session(path, settings, provider=provider)
        self.path = session.path
        if len(session.inputs) != 1:
            names = ", ".join(map(repr, session.inputs))
            raise RuntimeFailure(
                f"{path} has {len(session.inputs)} inputs: {names}",
                hint="a data set is fed to models of one input",
            )
        self.input, self.output = (
            next(iter(specs.values())) for specs in (session.inputs, session.outputs)
        )
        self.classes = session.classes
        tops = {scores: classes for classes, scores in session.tops.items()}
        self.best = tops.get(self.output.name)
        self.tuned = session.settings if session.tuned else None
        self.engine = f"onnxruntime ({session.provider})"

    @property
    def input_sizes(self) -> tuple[int | None, ...]:
        """The sizes of one sample, channels last; None where any number fits."""
        return _sample_sizes(self.input)

    @property
    def output_sizes(self) -> tuple[int, ...] | None:
        """The sizes of one prediction, channels last.

        None where the file leaves one open, or has cut its scores to the best.
        """
        if self.best:
            return None
        sizes = _sample_sizes(self.output)
        known = tuple(size for size in sizes if size is not None)
        return known if self.output.shape and len(known) == len(sizes) else None

    def predict(
        self,
        x: Samples,
        batch_size: int = 256,
        progress: Progress = lambda done, total: None,
        output: str | None = None,
    ) -> Array:
        """What the model gives for each sample.

        Args:
            x: The samples, channels last, RGB, [samples, ...]. They are put in the file's own
                layout, order of colours and type a batch at a time; nothing is scaled.
            batch_size: How many run at once, unless the file or its settings say that.
            progress: Called with the samples done so far, and in all.
            output: The output to take; `output` if None.

        Returns:
            The output, channels last, [samples, ...].

        Raises:
            RuntimeFailure: The samples do not fit the model, or it does not run.
        """
        if not len(x):
            raise RuntimeFailure(f"{self.path}: there are no samples to run it on")
        step = self._session.step or batch_size
        found: Array | None = None
        for start in range(0, len(x), step):
            batch = x[start : start + step]
            rows = self._run(batch, output or self.output.name)
            if found is None:
                found = np.empty((len(x), *rows.shape[1:]), rows.dtype)
            found[start : start + len(batch)] = rows
            progress(start + len(batch), len(x))
        assert found is not None
        return found

    def feed(self, batch: Array) -> dict[str, Array]:
        """Samples, channels last, RGB, as the file takes them, by the name of its input.

        Raises:
            RuntimeFailure: They do not fit the model.
        """
        batch = in_colors(batch, self.input)
        if self.input.order == "channels first":
            batch = np.moveaxis(batch, -1, 1)
        return self._session.fit(batch, "the data")

    def _run(self, batch: Array, name: str) -> Array:
        rows = self._session.run(self.feed(batch), [name])[name]
        check_rows(self.path, name, rows, len(batch))
        return channels_last(rows, self._session.outputs[name])


def feature_maps(
    path: str | Path, image: str | Path, layers: Collection[str] = ()
) -> tuple[Array, dict[str, Array]]:
    """The values of a model's layers on an image.

    Args:
        path: An .onnx file whose outputs are feature maps, as ``--taps`` makes them.
        image: An image, or a .npy or .npz file; of several samples the first is shown.
        layers: The names of the outputs to take; all that have height and width, if none.

    Returns:
        What the model was given, [height, width, channels] where it is an image, and the values of
        each layer, [height, width, channels], by its name.

    Raises:
        MissingExtra: onnxruntime is not installed, or Pillow.
        RuntimeFailure: The model or the image cannot be read, do not fit each other, or there are
            no such layers.
    """
    session = Session(path)
    maps = {name: spec for name, spec in session.outputs.items() if len(spec.layout) == 4}
    if not maps:
        raise RuntimeFailure(
            f"{path}: none of its outputs has height and width",
            hint="graphcnn compile MODEL.yaml --taps all makes every layer an output",
        )
    for name in layers:
        if name not in maps:
            raise RuntimeFailure(
                f"{path}: no output with height and width is named {name!r}",
                hint=did_you_mean(name, maps),
            )
    feeds, taken = session.fit(image), next(iter(session.inputs.values()))
    found = session.run(feeds, list(layers or maps))
    return in_colors(channels_last(feeds[taken.name], taken), taken)[0], {
        name: channels_last(values, maps[name])[0] for name, values in found.items()
    }


def channels_last(values: Array, spec: TensorSpec) -> Array:
    """Values in the layout that data and models are written in."""
    return np.moveaxis(values, 1, -1) if spec.order == "channels first" else values


def _sample_sizes(spec: TensorSpec) -> tuple[int | None, ...]:
    last = spec.swapped() if spec.order == "channels first" else None
    return tuple(size if isinstance(size, int) else None for size in (last or spec).shape[1:])
