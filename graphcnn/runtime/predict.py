"""Running an .onnx file over many samples batch by batch, and for the values of its layers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from graphcnn.errors import RuntimeFailure, did_you_mean

from .inputs import fit, read_inputs
from .session import Provider, first_line, open_session
from .signature import Array, TensorSpec, read_signature

Progress = Callable[[int, int], None]


class Predictor:
    """An .onnx file of one input, ready to run over a data set.

    Where the file has several outputs, such as tapped feature maps behind the scores, the first is
    what is predicted.

    Args:
        path: The file.
        provider: ``auto`` takes CUDA where the installed onnxruntime can use it.

    Attributes:
        path: The file.
        engine: What runs it, for people.
        input: What it takes.
        output: What it gives.
        classes: The names of the classes it tells apart, if the file has them.

    Raises:
        MissingExtra: onnxruntime is not installed.
        RuntimeFailure: The file cannot be loaded, or has several inputs.
    """

    def __init__(self, path: str | Path, provider: Provider = "auto") -> None:
        self.path = str(path)
        self._session = open_session(path, provider)
        signature = read_signature(self._session)
        if len(signature.inputs) != 1:
            names = ", ".join(repr(spec.name) for spec in signature.inputs)
            raise RuntimeFailure(
                f"{path} has {len(signature.inputs)} inputs: {names}",
                hint="a data set is fed to models of one input",
            )
        self.input, self.output = signature.inputs[0], signature.outputs[0]
        self.classes = signature.classes
        self.engine = f"onnxruntime ({self._session.get_providers()[0]})"

    @property
    def input_sizes(self) -> tuple[int | None, ...]:
        """The sizes of one sample, channels last; None where any number fits."""
        return _sample_sizes(self.input)

    @property
    def output_sizes(self) -> tuple[int, ...] | None:
        """The sizes of one prediction, channels last; None where the file leaves one open."""
        sizes = _sample_sizes(self.output)
        known = tuple(size for size in sizes if size is not None)
        return known if self.output.shape and len(known) == len(sizes) else None

    def predict(
        self, x: Array, batch_size: int = 256, progress: Progress = lambda done, total: None
    ) -> Array:
        """What the model gives for each sample.

        Args:
            x: The samples, channels last, [samples, ...]. They are put in the file's own layout
                and type a batch at a time; nothing is scaled.
            batch_size: How many run at once, unless the file fixes that. A last batch that is too
                short for it is filled up, and what comes of the filling is dropped.
            progress: Called with the samples done so far, and in all.

        Returns:
            The output, channels last, [samples, ...].

        Raises:
            RuntimeFailure: The samples do not fit the model, or it does not run.
        """
        if not len(x):
            raise RuntimeFailure(f"{self.path}: there are no samples to run it on")
        fixed = self.input.shape[0]
        step = fixed if isinstance(fixed, int) else batch_size
        found: Array | None = None
        for start in range(0, len(x), step):
            batch = x[start : start + step]
            rows = self._run(_filled(batch, step) if isinstance(fixed, int) else batch)
            if found is None:
                found = np.empty((len(x), *rows.shape[1:]), rows.dtype)
            found[start : start + len(batch)] = rows[: len(batch)]
            progress(start + len(batch), len(x))
        assert found is not None
        return found

    def _run(self, batch: Array) -> Array:
        if self.input.order == "channels first":
            batch = np.moveaxis(batch, -1, 1)
        feed = fit(batch, self.input, "the data")
        (rows,) = _run(self.path, self._session, [self.output], {self.input.name: feed})
        if not rows.shape or len(rows) != len(batch):
            raise RuntimeFailure(
                f"{self.path}: output {self.output.name!r} has shape {list(rows.shape)} "
                f"for a batch of {len(batch)} samples",
                hint="its first axis must be the batch",
            )
        return channels_last(rows, self.output)


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
    session = open_session(path)
    signature = read_signature(session)
    maps = {spec.name: spec for spec in signature.outputs if len(spec.layout) == 4}
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
    chosen = [maps[name] for name in layers or maps]
    feeds = read_inputs(image, signature.inputs)
    given = channels_last(feeds[signature.inputs[0].name], signature.inputs[0])
    found = _run(str(path), session, chosen, feeds)
    return given[0], {
        spec.name: channels_last(values, spec)[0]
        for spec, values in zip(chosen, found, strict=True)
    }


def channels_last(values: Array, spec: TensorSpec) -> Array:
    """Values in the layout that data and models are written in."""
    return np.moveaxis(values, 1, -1) if spec.order == "channels first" else values


def _run(
    path: str, session: Any, outputs: Sequence[TensorSpec], feeds: dict[str, Array]
) -> list[Array]:
    try:
        found: list[Array] = session.run([spec.name for spec in outputs], feeds)
    except Exception as error:
        raise RuntimeFailure(f"{path}: onnxruntime cannot run it: {first_line(error)}") from error
    return found


def _sample_sizes(spec: TensorSpec) -> tuple[int | None, ...]:
    last = spec.swapped() if spec.order == "channels first" else None
    return tuple(size if isinstance(size, int) else None for size in (last or spec).shape[1:])


def _filled(batch: Array, size: int) -> Array:
    """A batch of exactly this size: what is missing repeats its last sample."""
    return batch[np.minimum(np.arange(size), len(batch) - 1)] if len(batch) < size else batch
