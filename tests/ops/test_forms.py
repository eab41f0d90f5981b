"""Layers in the forms of runtimes that take no other: the same numbers, at a bounded cost."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import pytest

import graphcnn
from graphcnn.errors import ErrorGroup
from graphcnn.graph import Graph
from graphcnn.ops import Dense, Max, Mean, Op, ReLU, ZeroPadding2D
from graphcnn.types import DType
from tests.onnx_checks import run


def _network(*ops: Op, dtype: DType = DType.float32) -> Graph:
    graph = Graph("network")
    value = graph.input("x", (9, 8, 3), dtype)
    for index, op in enumerate(ops):
        value = graph.add(op, value, name=f"layer{index}")
    graph.outputs["y"] = value
    return graph


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("pads", [((1, 2), (0, 3)), ((7, 0), (5, 9)), ((0, 0), (32, 32))])
def test_zeros_without_a_pad(
    pads: tuple[tuple[int, int], tuple[int, int]], layout: Literal["nchw", "nhwc"], tmp_path: Path
) -> None:
    path = tmp_path / "m.onnx"
    graphcnn.compile(_network(ZeroPadding2D(padding=pads), ReLU()), path, input_layout=layout)
    held = onnx.load(path).graph
    assert "Pad" not in {node.op_type for node in held.node}
    assert max(len(tensor.raw_data) for tensor in held.initializer) <= 3 * 65 * 4
    x = np.random.default_rng(0).random((2, 9, 8, 3), np.float32)
    (found,) = run(path, {"x": x}, layout == "nchw").values()
    np.testing.assert_array_equal(found, np.pad(x, ((0, 0), *pads, (0, 0))))


def test_integers_are_not_padded_by_a_convolution(tmp_path: Path) -> None:
    graph = _network(ZeroPadding2D(padding=1), dtype=DType.int32)
    with pytest.raises(ErrorGroup, match=r"layer0 \(ZeroPadding2D\): Pad: ncnn does not load it"):
        graphcnn.compile(graph, tmp_path / "m.onnx")


@pytest.mark.parametrize("target", ["opencv", "ncnn", "portable"])
def test_a_maximum_of_everything(target: str, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    graphcnn.compile(_network(Max(axis=(1, 2, 3))), path, target=target)
    x = np.random.default_rng(0).random((2, 9, 8, 3), np.float32)
    (found,) = run(path, {"x": x}).values()
    np.testing.assert_array_equal(found.reshape(2), x.max(axis=(1, 2, 3)))


def test_the_batch_is_told_by_an_operator_of_images(tmp_path: Path) -> None:
    kinds = {}
    for target in ("ncnn", "portable", "onnxruntime"):
        path = tmp_path / f"{target}.onnx"
        graphcnn.compile(_network(Mean(axis=(1, 2)), Dense(units=4)), path, target=target)
        kinds[target] = [node.op_type for node in onnx.load(path).graph.node]
    assert kinds["ncnn"] == kinds["portable"] == ["MaxPool", *kinds["onnxruntime"]]
    volumes = Graph("volumes")
    volumes.outputs["y"] = volumes.add(Mean(axis=(1, 2, 3)), volumes.input("x", (4, 4, 4, 2)))
    with pytest.raises(ErrorGroup, match="images, and no operator of images: ncnn gives wrong"):
        graphcnn.compile(volumes, tmp_path / "volumes.onnx", target="ncnn")
