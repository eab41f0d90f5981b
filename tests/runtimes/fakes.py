"""Runtimes that go wrong, each in its own way. They are onnxruntime otherwise."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from graphcnn.runtime.signature import Array
from graphcnn.runtimes.onnxruntime import OnnxRuntime


class Fake(OnnxRuntime):
    """Right at one sample, and `spoiled` beyond."""

    def execute(
        self, path: Path, feeds: Mapping[str, Array], outputs: Sequence[str], scratch: Path
    ) -> Sequence[Array]:
        found = super().execute(path, feeds, outputs, scratch)
        if len(next(iter(feeds.values()))) == 1:
            return found
        return [self.spoiled(values) for values in found]

    def spoiled(self, values: Array) -> Array:
        return values


class Crashing(Fake):
    name = "crashing"

    def spoiled(self, values: Array) -> Array:
        os.kill(os.getpid(), signal.SIGSEGV)
        return values


class Exiting(Fake):
    name = "exiting"

    def spoiled(self, values: Array) -> Array:
        print("out of ideas", flush=True)
        os._exit(3)


class Hanging(Fake):
    name = "hanging"

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(folder, limit=5)

    def spoiled(self, values: Array) -> Array:
        if not os.fork():  # Such a child holds the pipes of its parent open.
            time.sleep(600)
        time.sleep(600)
        return values


class Refusing(Fake):
    name = "refusing"

    def spoiled(self, values: Array) -> Array:
        raise ValueError("no kernel\n  for this")


class Wrong(Fake):
    name = "wrong"

    def spoiled(self, values: Array) -> Array:
        return values + np.float32(0.5)


class NaN(Fake):
    name = "nan"

    def spoiled(self, values: Array) -> Array:
        return values * np.float32(np.nan)


class Short(Fake):
    name = "short"

    def spoiled(self, values: Array) -> Array:
        return values[:1]


class Narrow(Fake):
    name = "narrow"

    def spoiled(self, values: Array) -> Array:
        return values[:, :2]


class Scaling(OnnxRuntime):
    """Wrong in one layer: the weights of ``second`` are other ones."""

    name = "scaling"

    def execute(
        self, path: Path, feeds: Mapping[str, Array], outputs: Sequence[str], scratch: Path
    ) -> Sequence[Array]:
        model = onnx.load(path)
        for tensor in model.graph.initializer:
            if tensor.name.startswith("second/kernel"):
                values = numpy_helper.to_array(tensor) * np.float32(1.5)
                tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
        changed = scratch / "changed.onnx"
        onnx.save(model, changed)
        return super().execute(changed, feeds, outputs, scratch)


class Absent(OnnxRuntime):
    name = "absent"
    packages = (("onnxruntime",), ("no-such-package", "nor-this-one"))
    install = "pip install no-such-package"
