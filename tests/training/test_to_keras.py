"""A graph as a Keras model: it predicts, trains, and is saved and read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphcnn
from graphcnn.errors import ErrorGroup, GraphCNNError
from graphcnn.weights import WeightStore
from tests.onnx_checks import run

from .small import MODEL, dataset, digits, graph_of, trained

# Keras 3.15 with TensorFlow 2.21 converts its variables in a way that numpy 2 calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

MANY = """
inputs: {image: [8, 8, 1]}
blocks:
  unit:
    layers:
      - Conv2D: {filters: 4, kernel_size: 3, padding: [1, 2], activation: prelu, name: conv}
      - LocalResponseNormalization: {depth_radius: 1, alpha: 0.5, name: lrn}
      - LeakyReLU: {negative_slope: 0.3, name: leak}
      - Activation: {activation: {leaky_relu: {negative_slope: 0.1}}, name: leak2}
layers:
  - Rescaling: {scale: 0.004166666666666667}
  - {repeat: 2, name: units, layers: [unit: {name: unit}]}
  - RandomFlip
  - BatchNormalization: {name: norm}
  - Dropout: {rate: 0.5}
  - Flatten
  - Dense: {units: 10, activation: softmax, name: scores}
"""


@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
def test_saved_and_read_back(tmp_path: Path, ending: str) -> None:
    """What Keras saves is what graphcnn compiles, and both predict alike."""
    from graphcnn.engine import keras
    from graphcnn.training import to_keras

    graph = graph_of(MANY)
    weights = WeightStore.random(graph.weights, 4)
    model = to_keras(graph, weights)
    file = tmp_path / f"model{ending}"
    model.save(file) if ending == ".keras" else model.save_weights(file)
    x = digits()[0][:20].astype(np.float32)
    expected = model.predict(x, verbose=0)
    if ending == ".keras":
        np.testing.assert_array_equal(keras.saving.load_model(file).predict(x, verbose=0), expected)
    read = WeightStore.read(file, graph.weights_by_node)
    read.check(graph.weights)
    for name, weight in weights.items():
        np.testing.assert_array_equal(read[name].load(), weight.load())
    graphcnn.compile(graph, tmp_path / "model.onnx", weights=file)
    (found,) = run(tmp_path / "model.onnx", {"image": x}).values()
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_trained_weights_go_out_and_come_back(tmp_path: Path) -> None:
    """Trained here, compiled, trained on in Keras, and taken over again."""
    from graphcnn.training import predict, to_keras

    graph = graph_of(MODEL)
    result = trained(tmp_path / "run", graph, changes={"epochs": 2})
    assert result.weights is not None
    graphcnn.compile(graph, tmp_path / "a.onnx", weights=result.weights)
    x, y = digits()
    some = x[:50].astype(np.float32)
    (compiled,) = run(tmp_path / "a.onnx", {"image": some}).values()
    model = to_keras(graph, result.weights)
    np.testing.assert_allclose(model(some).numpy(), compiled, atol=1e-6)
    np.testing.assert_allclose(predict(graph, result.weights, x[:50], 7), compiled, atol=1e-6)
    assert len(model.losses) == 1
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x[:64], y[:64], verbose=0)
    model.save_weights(tmp_path / "more.weights.h5")
    more = WeightStore.read(tmp_path / "more.weights.h5", graph.weights_by_node)
    again = trained(tmp_path / "again", graph, dataset(64), changes={"epochs": 1}, initial=more)
    assert again.history[0]["loss"] < result.history[0]["loss"]


def test_drawn_by_its_own_initializers() -> None:
    from graphcnn.training import to_keras

    graph = graph_of(MANY)
    one, two = to_keras(graph), to_keras(graph, WeightStore.random(graph.weights, 0))
    for mine, other in zip(one.weights, two.weights, strict=True):
        np.testing.assert_array_equal(mine.numpy(), other.numpy())
    assert [layer.name for layer in one.layers][2] == "units_1__unit__conv__pads"


def test_weights_that_do_not_fit() -> None:
    from graphcnn.training import to_keras

    graph = graph_of(MODEL)
    arrays = {name: w.load() for name, w in WeightStore.random(graph.weights, 0).items()}
    arrays["scores/bias"] = np.zeros(3, np.float32)
    arrays["more"] = arrays.pop("conv/kernel")
    with pytest.raises(ErrorGroup) as caught:
        to_keras(graph, WeightStore.from_arrays(arrays))
    assert len(caught.value.errors) == 3


def test_what_keras_cannot_build(monkeypatch: pytest.MonkeyPatch) -> None:
    from graphcnn.training import build, to_keras

    def fails(layer: Any, x: Any) -> Any:
        raise ValueError("no")

    monkeypatch.setattr(build.Operation, "call", fails)
    with pytest.raises(GraphCNNError, match="Keras cannot build it") as caught:
        to_keras(graph_of(MANY))
    assert caught.value.subject == "units_1/unit/lrn (LocalResponseNormalization)"
    assert caught.value.location is not None
