"""A .keras or .h5 file in Keras, layer by layer as it was saved.

A convolution of Keras 3.15 on TensorFlow that has its channels first adds its bias along the width
where that is as large as its filters are many, and differs from ours there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from graphcnn.engine import as_array, keras, load_model, tf
from graphcnn.errors import RuntimeFailure, VerificationError
from graphcnn.frontends.keras.read import layer_names
from graphcnn.keras_file import printable
from graphcnn.runtime.signature import Array
from graphcnn.training.build import needs_xla
from graphcnn.types import LAST, Layout

from .side import NO_BATCH, Runner, Side, Value, check_batched, open_spec


class KerasSide(Side):
    """A model that Keras runs.

    Args:
        path: A .keras or .h5 file. It is loaded without its compilation, in Keras's safe mode, and
            with no custom object.

    Raises:
        MissingExtra: TensorFlow is not installed.
        RuntimeFailure: Keras cannot load it.
        VerificationError: It has no symbolic inputs, or one of them has no batch.
    """

    def __init__(self, path: Path) -> None:
        self.model, self.engine = str(path), f"Keras {keras.__version__}"
        try:
            loaded = load_model(path)
        except Exception as error:
            raise RuntimeFailure(f"{path}: Keras cannot load it: {_first_line(error)}") from None
        if not getattr(loaded, "inputs", None):
            raise VerificationError(
                f"{path}: the sizes of its inputs are not known",
                hint="build it before it is saved: Sequential([Input((28, 28, 1)), ...])",
            )
        # Rewrapped, so that inputs and outputs are lists, whatever structure they were saved in.
        self._model = keras.Model(loaded.inputs, loaded.outputs)
        self._operations = list(_operations(self._model))
        orders = {getattr(layer, "data_format", None) for _, layer in self._operations}
        self._layout: Layout | None = None if "channels_first" in orders else LAST
        self.layouts_known = self._layout is not None
        self.inputs = tuple(
            open_spec(tensor.name, tuple(tensor.shape[1:]), np.dtype(tensor.dtype), tensor.shape[0])
            for tensor in self._model.inputs
        )
        self.outputs = tuple(
            Value(name, name, tuple(tensor.shape[1:]), self._layout)
            for name, tensor in zip(self._model.output_names, self._model.outputs, strict=True)
        )
        check_batched(self)

    def layers(self) -> list[Value]:
        """Every layer and operation that is used once and gives one tensor, named as imported."""
        names = layer_names(Path(self.model))
        return [
            Value(names.get(path, path), path, tuple(operation.output.shape[1:]), self._layout)
            for path, operation in self._operations
            if _gives_one(operation)
        ]

    def runner(self, values: Sequence[Value] | None = None) -> Runner:
        """The model, called as it is; its layers' values are kept on the way."""
        wanted = None if values is None else [value.held for value in values]

        def run(feeds: Mapping[str, Array]) -> list[Array]:
            given = [tf.constant(feeds[spec.name]) for spec in self.inputs]
            try:
                with self._recording(wanted or ()) as kept:
                    outputs = self._model(given, training=False)
            except Exception as error:
                reason = _first_line(error)
                raise RuntimeFailure(f"{self.model}: Keras cannot run it: {reason}") from None
            if wanted is not None:
                return [kept[path] for path in wanted]
            return [as_array(tensor) for tensor in keras.tree.flatten(outputs)]

        return run

    @contextmanager
    def _recording(self, wanted: Sequence[str]) -> Iterator[dict[str, Array]]:
        """Keep what these operations give while the model is called: nothing where it is twice."""
        kept: dict[str, Array] = {}
        with ExitStack() as stack:
            for path, operation in self._operations:
                if path in wanted or _compiles(operation):
                    operation.call = _recorder(path, operation, kept)
                    stack.callback(delattr, operation, "call")
            yield kept


def _recorder(path: str, operation: Any, kept: dict[str, Array]) -> Callable[..., Any]:
    call = operation.call

    def recorded(*args: Any, **kwargs: Any) -> Any:
        try:
            result = call(*args, **kwargs)
        except tf.errors.OpError:
            if not _compiles(operation):
                raise
            result = tf.function(call, jit_compile=True)(*args, **kwargs)
        kept[path] = NO_BATCH if path in kept else as_array(result)
        return result

    return recorded


def _compiles(operation: Any) -> bool:
    """Whether an operation may need XLA: TensorFlow has few channels-first ones for CPU.

    Those that do not are not compiled: XLA gets bilinear sizes wrong (TensorFlow 2.21).
    """
    return needs_xla(operation) or getattr(operation, "data_format", None) == "channels_first"


def _operations(model: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The layers and operations of a model in order, those of a model in it under its name."""
    for operation in getattr(model, "operations", None) or model.layers:
        if isinstance(operation, keras.layers.InputLayer):
            continue
        path = f"{prefix}{operation.name}"
        if isinstance(operation, keras.Model):
            yield from _operations(operation, f"{path}/")
        yield path, operation


def _gives_one(operation: Any) -> bool:
    """Whether an operation is called once, and gives one tensor."""
    try:
        return isinstance(operation.output, keras.KerasTensor)
    except (AttributeError, ValueError):
        return False


def _first_line(error: Exception) -> str:
    return printable(str(error).strip().split("\n")[0], 500) or type(error).__name__
