"""Types: sizes that may be symbols, axes counted as Keras counts them, element types, layouts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

import graphcnn
from graphcnn.errors import ShapeError
from graphcnn.ops import (
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dense,
    Flatten,
    LayerNormalization,
    Normalization,
    Rescaling,
    UpSampling2D,
)
from graphcnn.types import FIRST, LAST, DType, TensorType, is_symbolic, sample_axis, symbol


def test_prints_with_the_batch() -> None:
    assert str(TensorType((5, 5, 64))) == "float32[N, 5, 5, 64]"
    assert TensorType((5, 5, 64)).shape(None) == (None, 5, 5, 64)
    assert TensorType((5, 5, 64), DType.float16).bytes == 3200


def test_symbols_do_shape_arithmetic() -> None:
    height = symbol("H")
    value = TensorType(((height - 3) // 2 + 1, 7))
    assert is_symbolic(value.sizes[0])
    assert value.symbolic
    assert str(value.sizes[0]) == "floor(H/2 - 3/2) + 1"
    assert value.sizes[0].subs(height, 9) == 4  # type: ignore[attr-defined]


@pytest.mark.parametrize("sizes", [(0,), (3, -1), (2**40,), (2**20, 2**20)])
def test_absurd_sizes_are_refused(sizes: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError):
        TensorType(sizes)


@pytest.mark.parametrize(("axis", "index"), [(-1, 2), (3, 2), (1, 0), (-3, 0)])
def test_axes_count_the_batch(axis: int, index: int) -> None:
    assert sample_axis(axis, 4) == index


@pytest.mark.parametrize("axis", [0, -4, 4, -5])
def test_batch_and_missing_axes_are_refused(axis: int) -> None:
    with pytest.raises(ShapeError):
        sample_axis(axis, 4)


def test_layouts_say_where_axes_lie() -> None:
    value = TensorType((5, 6, 64))
    assert FIRST.sizes(value) == (64, 5, 6)
    assert [FIRST.axis(i, value) for i in range(3)] == [2, 3, 1]
    assert [LAST.axis(i, value) for i in range(3)] == [1, 2, 3]


def test_element_type_reaches_weights_constants_and_results(tmp_path: Path) -> None:
    graph = graphcnn.Graph("half")
    x = graph.input("image", (9, 9, 3), DType.float16)
    x = graph.add(Rescaling(scale=[0.5, 1.0, 2.0], offset=0.5), x)
    x = graph.add(Normalization(), x)
    x = graph.add(Conv2D(filters=4, kernel_size=3, activation="gelu"), x)
    x = graph.add(BatchNormalization(scale=False), x)
    x = graph.add(UpSampling2D(), x)
    x = graph.add(LayerNormalization(), x)
    x = graph.add(AveragePooling2D(pool_size=3, padding="same"), x)
    x = graph.add(Dense(units=3, activation="softmax"), graph.add(Flatten(), x), name="scores")
    graph.outputs["scores"] = x
    assert {graph.type(node.name).dtype for node in graph} == {DType.float16}
    floats = {spec.dtype for name, spec in graph.weights.items() if not name.endswith("/count")}
    assert floats == {DType.float16}

    report = graphcnn.compile(graph, tmp_path / "half.onnx", target="onnxruntime")

    assert "run by onnxruntime" in report.verified
    session = ort.InferenceSession(tmp_path / "half.onnx", providers=["CPUExecutionProvider"])
    feed = np.random.default_rng(0).random((2, 3, 9, 9)).astype(np.float16)
    (found,) = session.run(None, {"image": feed})
    assert found.dtype == np.float16
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=2e-3)
