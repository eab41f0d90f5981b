"""Files of `graphcnn tune`'s rivals, each written in a process of its own, since it may fail.

python -m tests.benchmarks.tuning_rivals RIVAL FLOAT32.onnx MODEL WEIGHTS DATA FOLDER
"""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path
from typing import Any

_CALIBRATED = 512
_BATCH = 32


def quantize_static(single: str, model: str, weights: str, data: str, folder: str) -> None:
    """Onnxruntime's `quantize_static` with its defaults, on as many samples as ours."""
    import numpy as np
    from onnxruntime.quantization import quantize_static as quantize

    from graphcnn.quantization import read_samples
    from graphcnn.runtime.predict import Predictor

    predictor = Predictor(single)
    rows = read_samples(data, predictor, _CALIBRATED).calibration
    feeds = [predictor.feed(rows[i : i + _BATCH]) for i in range(0, len(rows), _BATCH)]

    class Reader:
        def __init__(self) -> None:
            self._left = iter(feeds)

        def get_next(self) -> dict[str, np.ndarray[Any, Any]] | None:
            return next(self._left, None)

    with contextlib.redirect_stdout(io.StringIO()):
        quantize(single, Path(folder) / "int8.onnx", Reader())


def export(single: str, model: str, weights: str, data: str, folder: str) -> None:
    """Keras's own export of the same network and weights."""
    import numpy as np

    import graphcnn as library
    from graphcnn.training import to_keras

    graph = library.load(model)
    twin = to_keras(graph, library.WeightStore.read(weights, graph.weights_by_node))
    twin(np.zeros((1, *graph.type(graph.inputs[0].name).sizes), np.float32))
    twin.export(Path(folder) / "k.onnx", format="onnx", verbose=False)


if __name__ == "__main__":
    {"quantize_static": quantize_static, "export": export}[sys.argv[1]](*sys.argv[2:])
