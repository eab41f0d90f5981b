"""Keras's files beside ours and other tools'."""

from __future__ import annotations

import json
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import graphcnn
from graphcnn.errors import RuntimeFailure, VerificationError
from graphcnn.verification import verify

LAYERS = """
layers:
  - Conv2D: {filters: 4, kernel_size: 3, padding: same, activation: relu, name: stem}
  - Conv2D: {filters: 4, kernel_size: 3, padding: same, name: block/conv}
  - BatchNormalization: {name: block/norm}
  - Add: {inputs: [block/norm, stem], name: add}
  - GlobalAveragePooling2D: {name: gap}
  - Dense: {units: 5, activation: softmax, name: scores}
outputs: [scores, add]
"""


def save(model: Any, path: Path) -> Path:
    """Save a model, without what Keras's way of reading its variables makes numpy warn of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model in a model, saved by Keras twice, and the same as a model file with its weights."""
    from graphcnn.engine import as_array, keras

    folder = tmp_path_factory.mktemp("models")
    layers = keras.layers
    block = keras.Sequential(
        [
            keras.Input((8, 8, 4)),
            layers.Conv2D(4, 3, padding="same", name="conv"),
            layers.BatchNormalization(name="norm"),
        ],
        name="block",
    )
    image = keras.Input((8, 8, 3), name="image")
    stem = layers.Conv2D(4, 3, padding="same", activation="relu", name="stem")(image)
    add = layers.Add(name="add")([block(stem), stem])
    gap = layers.GlobalAveragePooling2D(name="gap")(add)
    scores = layers.Dense(5, activation="softmax", name="scores")(gap)
    model = keras.Model(image, [scores, add])
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.uniform(0.1, 0.9, weight.shape))
    save(model, folder / "model.keras")
    save(model, folder / "model.h5")
    (folder / "model.yaml").write_text(f"inputs: {{image: [8, 8, 3]}}{LAYERS}")
    graph = graphcnn.load(folder / "model.yaml")
    found = dict(zip(graph.weights, map(as_array, model.weights), strict=True))
    graphcnn.WeightStore.from_arrays(found).save(folder / "model.safetensors")
    graphcnn.compile(
        graph,
        folder / "model.onnx",
        weights=folder / "model.safetensors",
        disable=["all"],
    )
    return folder


def test_taps_are_compared_with_layers(folder: Path) -> None:
    graph = graphcnn.load(folder / "model.yaml")
    graphcnn.compile(
        graph,
        folder / "taps.onnx",
        weights=folder / "model.safetensors",
        taps=["block/norm", "gap"],
        force=True,
    )
    report = verify(folder / "model.keras", folder / "taps.onnx")
    assert report.equal
    assert [item.name for item in report.outputs] == ["scores", "add", "block/norm", "gap"]


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_equal(folder: Path, name: str) -> None:
    report = verify(folder / name, folder / "model.onnx", per_layer=True)
    assert report.equal
    assert [layer.name for layer in report.layers or ()] == [
        "stem",
        "block/conv",
        "block/norm",
        "add",
        "gap",
        "scores",
    ]
    assert report.outputs[0].same_argmax == 8
    assert report.outputs[1].sizes == (8, 8, 4)
    assert report.engines[0].startswith("Keras 3")


def test_a_layer_in_a_model_in_the_model_differs(folder: Path, tmp_path: Path) -> None:
    found = onnx.load(folder / "model.onnx")
    tensor = next(item for item in found.graph.initializer if item.name == "block/conv/bias")
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) + 1, tensor.name))
    onnx.save(found, tmp_path / "edited.onnx")
    report = verify(folder / "model.keras", tmp_path / "edited.onnx", per_layer=True)
    assert report.first is not None
    assert report.first.name == "block/conv"
    assert report.first.where == "model.yaml:4:5"
    assert not report.equal


def test_two_keras_files_and_a_model_file(folder: Path) -> None:
    assert verify(folder / "model.keras", folder / "model.h5", per_layer=True).equal
    weights = folder / "model.safetensors"
    report = verify(
        folder / "model.yaml", folder / "model.keras", weights_a=weights, per_layer=True
    )
    assert report.equal
    assert report.layers


def test_layers_that_are_not_asked_for_are_left_as_they_are(folder: Path) -> None:
    from graphcnn.verification.keras_side import KerasSide

    side = KerasSide(folder / "model.keras")
    feeds = {"image": np.ones((2, 8, 8, 3), np.float32)}
    stem = [value for value in side.layers() if value.name == "stem"]
    before = side.runner()(feeds)
    (kept,) = side.runner(stem)(feeds)
    assert kept.shape == (2, 8, 8, 4)
    assert all("call" not in vars(layer) for layer in side._model.layers)
    np.testing.assert_array_equal(side.runner()(feeds)[0], before[0])


def test_a_layer_that_is_called_twice_is_not_compared(tmp_path: Path) -> None:
    from graphcnn.engine import keras

    image = keras.Input((4, 4, 3), name="image")
    conv = keras.layers.Conv2D(3, 1, name="conv")
    twice = keras.layers.ReLU(name="act")(conv(conv(image)))
    path = save(keras.Model(image, twice), tmp_path / "twice.keras")
    report = verify(path, path, per_layer=True)
    assert [layer.name for layer in report.layers or ()] == ["act"]
    assert report.equal


def test_channels_first(tmp_path: Path) -> None:
    """A channels-first model in Keras, whose order is told from shapes, and a model file."""
    from graphcnn.engine import as_array, keras

    image = keras.Input((3, 6, 5), name="image")
    options = {"data_format": "channels_first"}
    conv = keras.layers.Conv2D(4, 3, padding="same", name="conv", **options)
    pool = keras.layers.MaxPooling2D(2, name="pool", **options)
    path = save(keras.Model(image, pool(conv(image))), tmp_path / "first.keras")
    (tmp_path / "last.yaml").write_text(
        """
inputs: {image: [6, 5, 3]}
layers:
  - Conv2D: {filters: 4, kernel_size: 3, padding: same, name: conv}
  - MaxPooling2D: {pool_size: 2, name: pool}
"""
    )
    arrays = {f"conv/{weight.name}": as_array(weight) for weight in conv.weights}
    weights = graphcnn.WeightStore.from_arrays(arrays)
    report = verify(path, tmp_path / "last.yaml", weights_b=weights, per_layer=True)
    assert report.equal
    assert [layer.sizes for layer in report.layers or ()] == [(6, 5, 4), (3, 2, 4)]


def test_resizing_channels_first(tmp_path: Path) -> None:
    """Keras is not compiled there: XLA gets bilinear sizes wrong."""
    from graphcnn.engine import keras

    image = keras.Input((4, 6, 5), name="image")
    resized = keras.layers.Resizing(7, 11, data_format="channels_first")(image)
    again = keras.ops.image.resize(resized, (9, 8), data_format="channels_first")
    path = save(keras.Model(image, [resized, again]), tmp_path / "first.keras")
    graph, weights = graphcnn.from_keras(path)
    graphcnn.compile(graph, tmp_path / "first.onnx", weights=weights)
    assert verify(path, tmp_path / "first.onnx").equal


def test_upsampling_channels_first(tmp_path: Path) -> None:
    """TensorFlow can, so that it is not compiled: XLA gets bilinear sizes wrong."""
    from graphcnn.engine import keras

    image = keras.Input((4, 6, 5), name="image")
    options = {"interpolation": "bilinear", "data_format": "channels_first"}
    larger = keras.layers.UpSampling2D(3, **options)(image)
    path = save(keras.Model(image, larger), tmp_path / "first.keras")
    graph, weights = graphcnn.from_keras(path)
    graphcnn.compile(graph, tmp_path / "first.onnx", weights=weights)
    assert verify(path, tmp_path / "first.onnx", per_layer=True).equal


def test_layers_that_the_import_renames(tmp_path: Path) -> None:
    from graphcnn.engine import keras

    x = keras.Input((6, 6, 3), name="x")
    result = x
    for name in ("a b", "a_b", "a:b"):
        result = keras.layers.Conv2D(3, 3, padding="same", name=name)(result)
    path = save(keras.Model(x, result), tmp_path / "m.keras")
    graph, weights = graphcnn.from_keras(path)
    graphcnn.compile(graph, tmp_path / "m.onnx", weights=weights)
    report = verify(path, tmp_path / "m.onnx", per_layer=True)
    assert report.equal
    assert [layer.name for layer in report.layers or ()] == ["a_b_1", "a_b", "a_b_2"]


def test_what_is_no_model(folder: Path) -> None:
    with pytest.raises(VerificationError, match=r"expected a Graph or the path .* found 3"):
        verify(3, folder / "model.onnx")  # type: ignore[arg-type]


def test_outputs_of_one_name(tmp_path: Path) -> None:
    """Keras names the results of a layer that is called twice alike: they are paired by place."""
    from graphcnn.engine import keras

    x = keras.Input((4,), name="x")
    dense = keras.layers.Dense(3, name="d")
    model = keras.Model(x, [dense(x), dense(x * 2.0)])
    assert model.output_names == ["d", "d"]
    path = save(model, tmp_path / "m.keras")
    graph, weights = graphcnn.from_keras(path)
    graphcnn.compile(graph, tmp_path / "m.onnx", weights=weights)
    for a, b in ((path, path), (path, tmp_path / "m.onnx"), (tmp_path / "m.onnx", path)):
        report = verify(a, b)
        assert report.equal
        assert len(report.outputs) == 2
    other = save(keras.Model(x, [dense(x), dense(x)]), tmp_path / "other.keras")
    assert [output.within for output in verify(path, other).outputs] == [True, False]


def edited(source: Path, path: Path, **layer: Any) -> Path:
    """A .keras file with its second layer's description changed."""
    with zipfile.ZipFile(source) as archive:
        config: Any = json.loads(archive.read("config.json"))
        weights = archive.read("model.weights.h5")
    config["config"]["layers"][1] |= layer
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
        archive.writestr("model.weights.h5", weights)
    return path


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_code_is_refused(tmp_path: Path, ending: str) -> None:
    from graphcnn.engine import keras

    image = keras.Input((4,), name="image")
    result = keras.layers.Lambda(lambda x: x, output_shape=(4,))(image)
    path = save(keras.Model(image, result), tmp_path / f"code{ending}")
    with pytest.raises(VerificationError, match=r"Lambda.* of .*: no code of a file's own is run"):
        verify(path, path)


def test_a_class_of_another_package_is_refused(folder: Path, tmp_path: Path) -> None:
    path = edited(
        folder / "model.keras", tmp_path / "other.keras", module="os", class_name="system"
    )
    with pytest.raises(VerificationError, match="'system' of 'os'"):
        verify(path, path)


def test_what_keras_cannot_load_is_refused(folder: Path, tmp_path: Path) -> None:
    path = edited(folder / "model.keras", tmp_path / "other.keras", class_name="Nothing")
    with pytest.raises(RuntimeFailure, match="Keras cannot load it"):
        verify(path, path)


def test_a_damaged_file_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.keras").write_bytes((folder / "model.keras").read_bytes()[:2000])
    with pytest.raises(VerificationError, match=r"bad\.keras: not a readable Keras file"):
        verify(tmp_path / "bad.keras", folder / "model.onnx")


def test_weights_are_not_for_keras_files(folder: Path) -> None:
    with pytest.raises(VerificationError, match="has its own weights"):
        verify(folder / "model.onnx", folder / "model.h5", weights_b=folder / "model.safetensors")
