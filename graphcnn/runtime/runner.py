"""Running an .onnx file from Python."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from graphcnn.errors import RuntimeFailure, did_you_mean

from .deploy import read_deployment
from .inputs import fit_inputs, read_inputs
from .session import first_line, load_onnxruntime, open_session
from .settings import Provider, Settings
from .signature import Array, read_signature

_DEVICES = {"CUDAExecutionProvider": "cuda"}
"""The providers whose memory is not numpy's, and what onnxruntime calls it."""

_Run = Callable[[Sequence[str], Mapping[str, Array]], list[Array]]


class Session:
    """An .onnx file, ready to run.

    ::

        session = graphcnn.Session("model.onnx")
        scores = session.run(images)["scores"]

    On CUDA inputs are copied into memory of the device that is kept from run to run, so that one
    thread at a time may use it.

    Args:
        path: The file.
        settings: How it is run. If None, what the ``deploy.json`` beside it says of it, as
            ``graphcnn tune`` writes it, else the defaults.
        provider: What runs it, in place of what the settings say.

    Attributes:
        path: The file.
        settings: How it is run.
        tuned: Whether the settings are those of ``deploy.json``.
        provider: What runs it, as onnxruntime calls it.
        inputs: What it takes, by name, in the order of the file.
        outputs: What it gives, by name, in the order of the file.
        classes: The names of the classes it tells apart, if the file has them.
        tops: By the output of the best classes, int64[N, k], that of their scores.
        step: How many samples run at once: the batch that the file fixes, or the micro-batch; None:
            all that are given, as where the inputs have no batch in common.

    Raises:
        MissingExtra: onnxruntime is not installed.
        RuntimeFailure: The file cannot be loaded, its ``deploy.json`` is damaged or of other bytes,
            or the provider is not there.
    """

    def __init__(
        self,
        path: str | Path,
        settings: Settings | None = None,
        *,
        provider: Provider | None = None,
    ) -> None:
        self.path = str(path)
        deployment = read_deployment(path) if settings is None else None
        self.tuned = deployment is not None
        chosen = settings or (deployment.settings if deployment else Settings())
        self.settings = chosen.on(provider)
        session = open_session(path, self.settings)
        signature = read_signature(session)
        self.provider: str = session.get_providers()[0]
        self.inputs = MappingProxyType({spec.name: spec for spec in signature.inputs})
        self.outputs = MappingProxyType({spec.name: spec for spec in signature.outputs})
        self.classes, self.tops = signature.classes, MappingProxyType(dict(signature.tops))
        batches = {spec.shape[0] if spec.shape else 0 for spec in signature.inputs}
        common = batches.pop() if len(batches) == 1 else 0
        self._fixed = isinstance(common, int)
        self.step = (common or None) if isinstance(common, int) else self.settings.micro_batch
        device = _DEVICES.get(self.provider)
        self._call: _Run = _Bound(session, device) if device else session.run

    def fit(
        self, inputs: str | Path | Mapping[str, Any] | Any, source: str = "inputs"
    ) -> dict[str, Array]:
        """Fit inputs to what the file takes, in any number of samples.

        Args:
            inputs: A .npy, .npz or image file, arrays by the names of the inputs, or one array for
                a file of one input, all in the file's own layouts. Nothing is scaled or transposed;
                an axis of one sample or one channel that is left out is added.
            source: What messages call the inputs.

        Returns:
            An array for each input, of its type, [samples, ...].

        Raises:
            MissingExtra: They are an image, and Pillow is not installed.
            RuntimeFailure: They cannot be read, or do not fit.
        """
        specs = list(self.inputs.values())
        if self._fixed and self.step:
            specs = [replace(spec, shape=("N", *spec.shape[1:])) for spec in specs]
        if isinstance(inputs, str | Path):
            return read_inputs(inputs, specs)
        return fit_inputs(inputs, specs, source)

    def run(
        self, inputs: str | Path | Mapping[str, Any] | Any, outputs: Collection[str] = ()
    ) -> dict[str, Array]:
        """Run the file.

        Args:
            inputs: What `fit` takes. `step` samples run at once; where the file fixes that, the
                last of them are filled up, and what comes of the filling is dropped.
            outputs: The names of the outputs to take; all, if none.

        Returns:
            The outputs by their names, the batch first.

        Raises:
            RuntimeFailure: The inputs do not fit, there is no such output, the file does not run,
                or its outputs cannot be taken apart by samples where they have to be.
        """
        for name in outputs:
            if name not in self.outputs:
                hint = did_you_mean(name, self.outputs)
                raise RuntimeFailure(f"{self.path}: no output is named {name!r}", hint=hint)
        names = list(outputs or self.outputs)
        feeds = self.fit(inputs)
        if not self.step:
            return self._once(names, feeds)
        count, *others = {len(values) for values in feeds.values()}
        if others or count == self.step or (count < self.step and not self._fixed):
            return self._once(names, feeds)
        return self._by_steps(names, feeds, count, self.step)

    def _by_steps(
        self, names: Sequence[str], feeds: Mapping[str, Array], count: int, step: int
    ) -> dict[str, Array]:
        """The outputs of this many samples, put together from steps."""
        found: dict[str, Array] = {}
        for start in range(0, count, step):
            end = min(start + step, count)
            some = {name: values[start:end] for name, values in feeds.items()}
            if self._fixed:
                some = {name: _filled(values, step) for name, values in some.items()}
            for name, rows in self._once(names, some).items():
                check_rows(self.path, name, rows, step if self._fixed else end - start)
                if not start:
                    found[name] = np.empty((count, *rows.shape[1:]), rows.dtype)
                found[name][start:end] = rows[: end - start]
        return found

    def _once(self, names: Sequence[str], feeds: Mapping[str, Array]) -> dict[str, Array]:
        try:
            return dict(zip(names, self._call(names, feeds), strict=True))
        except Exception as error:
            raise RuntimeFailure(
                f"{self.path}: onnxruntime cannot run it: {first_line(error)}"
            ) from error


def check_rows(path: str, name: str, rows: Array, samples: int) -> None:
    """Refuse an output that has not one row for each sample.

    Raises:
        RuntimeFailure: It has not.
    """
    if not rows.shape or len(rows) != samples:
        raise RuntimeFailure(
            f"{path}: output {name!r} has shape {list(rows.shape)} "
            f"for a batch of {samples} samples",
            hint="its first axis must be the batch",
        )


class _Bound:
    """Runs of a session whose inputs and outputs lie on a device."""

    def __init__(self, session: Any, device: str) -> None:
        self._session, self._device = session, device
        self._binding = session.io_binding()
        self._held: dict[str, Any] = {}

    def __call__(self, names: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
        for name, values in feeds.items():
            self._put(name, values)
        # Outputs keep the shapes of the run before until they are bound again.
        self._binding.clear_binding_outputs()
        for name in names:
            self._binding.bind_output(name, self._device)
        self._session.run_with_iobinding(self._binding)
        found: list[Array] = self._binding.copy_outputs_to_cpu()
        return found

    def _put(self, name: str, values: Array) -> None:
        """Copy an input into memory of the device: that of the run before, where it fits."""
        held = self._held.get(name)
        if held is None or tuple(held.shape()) != values.shape:
            held = load_onnxruntime().OrtValue.ortvalue_from_shape_and_type(
                values.shape, values.dtype.type, self._device
            )
            self._held[name] = held
            self._binding.bind_ortvalue_input(name, held)
        held.update_inplace(values)


def _filled(batch: Array, size: int) -> Array:
    """A batch of exactly this size: what is missing repeats its last sample."""
    return batch[np.minimum(np.arange(size), len(batch) - 1)] if len(batch) < size else batch
