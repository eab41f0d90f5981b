"""A file in runtimes, from Python."""

from __future__ import annotations

from pathlib import Path

import pytest

import graphcnn
from graphcnn.errors import VerificationError
from graphcnn.runtimes.onnxruntime import OnnxRuntime
from graphcnn.verification import verify_runtimes

MODEL = """
name: padded
inputs: {image: [5, 5, 2]}
layers:
  - ZeroPadding2D: {padding: 1, name: pad}
  - Conv2D: {filters: 3, kernel_size: 3, name: conv}
"""


@pytest.fixture
def graph(tmp_path: Path) -> graphcnn.Graph:
    (tmp_path / "padded.yaml").write_text(MODEL)
    graph = graphcnn.load(tmp_path / "padded.yaml")
    graphcnn.compile(graph, tmp_path / "padded.onnx")
    return graph


def test_a_reference_that_no_target_takes_as_it_is_written(
    graph: graphcnn.Graph, tmp_path: Path
) -> None:
    """The padding is folded in the file, and stands alone in the reference."""
    report = verify_runtimes(graph, tmp_path / "padded.onnx", [OnnxRuntime()], batches=[2])
    assert report.equal
    assert [(cell.runtime, cell.batch, cell.state) for cell in report.cells] == [
        ("onnxruntime", 2, "ok")
    ]


def test_other_weights_leave_it(graph: graphcnn.Graph, tmp_path: Path) -> None:
    report = verify_runtimes(graph, tmp_path / "padded.onnx", [OnnxRuntime()], seed=1)
    assert not report.equal
    (layer,) = report.first.values()
    assert not isinstance(layer, str)
    assert layer.name == "conv"


def test_what_is_asked_for(graph: graphcnn.Graph, tmp_path: Path) -> None:
    path = tmp_path / "padded.onnx"
    with pytest.raises(VerificationError, match="expected a runtime or more"):
        verify_runtimes(graph, path, [])
    with pytest.raises(VerificationError, match=r"one sample or more, found \[1, 0\]"):
        verify_runtimes(graph, path, [OnnxRuntime()], batches=[1, 0])
    graph.outputs["pad"] = "pad"
    with pytest.raises(VerificationError, match="outputs"):
        verify_runtimes(graph, path, [OnnxRuntime()])
