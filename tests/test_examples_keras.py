"""Every example against its Keras twin: shapes, parameters and numbers, on raw pixels."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import graphcnn

from .onnx_checks import check_file

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_example_equals_keras(path: Path, tmp_path: Path) -> None:
    from .keras_twin import loaded_twin, random_arrays, run_twin

    graph = graphcnn.load(path)
    arrays = random_arrays(graph)
    (given,) = graph.inputs
    rng = np.random.default_rng(2)
    pixels = rng.uniform(0, 255, (2, *graph.type(given.name).sizes)).astype(np.float32)
    feeds = {given.name: pixels}
    check_file(graph, tmp_path, arrays, feeds, run_twin(loaded_twin(graph, arrays), feeds))


def test_the_keras_example_runs() -> None:
    command = [sys.executable, str(EXAMPLES / "from_keras.py")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "12 ONNX nodes" in printed
    assert "bn1 (BatchNormalization), conv1 (Conv2D), scale (Rescaling)" in printed
    assert "layers agree with Keras" in printed
