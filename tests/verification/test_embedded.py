"""Files that take a camera's bytes, or give the best classes, beside models that do not."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

import graphcnn
from graphcnn import Camera
from graphcnn.cli.main import cli
from graphcnn.errors import ErrorGroup, GraphCNNError, VerificationError
from graphcnn.initializers import Zeros
from graphcnn.ops import Dense, Rescaling
from graphcnn.runtimes import RUNTIMES
from graphcnn.verification import verify, verify_runtimes
from graphcnn.verification.embedded import resized, without_ties
from tests.runtime.models import edit_metadata

MODEL = """
name: tiny
inputs: {image: [8, 10, 3]}
layers:
  - Rescaling: {scale: 0.0078, offset: [-1.0, -0.9, -0.8], name: scaled}
  - Conv2D: {filters: 8, kernel_size: 3, padding: same, activation: relu, name: conv}
  - MaxPooling2D: {pool_size: 2, name: pool}
  - GlobalAveragePooling2D: {name: mean}
  - Dense: {units: 10, activation: softmax, name: scores}
"""

OPTIONS: dict[str, dict[str, Any]] = {
    "bytes": {"preprocess": "embed"},
    "bgr": {"preprocess": Camera(colors="bgr"), "input_layout": "nchw"},
    "larger": {"preprocess": Camera(colors="bgr", size=(20, 31)), "batch": 3},
    "smaller": {"preprocess": Camera(size=(4, 7)), "postprocess": "top1"},
    "top5": {"postprocess": "top5"},
    "all": {
        "preprocess": Camera(colors="bgr", size=(9, 10)),
        "postprocess": "top10",
        "taps": ["pool", "scores"],
    },
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "tiny.yaml").write_text(MODEL)
    return tmp_path / "tiny.yaml"


def embedded(model: Path, name: str = "tiny.onnx", **options: Any) -> Path:
    graphcnn.compile(graphcnn.load(model), model.with_name(name), **options)
    return model.with_name(name)


@pytest.mark.parametrize("case", OPTIONS)
def test_model_file(case: str, model: Path) -> None:
    options = OPTIONS[case]
    path = embedded(model, **options)
    reference: Any = model
    if "taps" in options:
        reference = graphcnn.load(model)
        reference.outputs = {"scores": "scores", "pool": "pool", "again": "scores"}
    report = verify(reference, path, per_layer=True)
    assert report.equal
    assert len(report.outputs) == (
        1 if "postprocess" not in options else 4 if "taps" in options else 2
    )
    assert {layer.name for layer in report.layers or ()} >= {"conv", "pool", "mean", "scores"}
    assert verify(path, reference).equal, "the other way round"


@pytest.mark.parametrize("case", ["larger", "smaller"])
def test_two_files(case: str, model: Path) -> None:
    first = embedded(model, **OPTIONS[case])
    plain = embedded(model, "plain.onnx")
    second = embedded(model, "second.onnx", **{**OPTIONS[case], "disable": ["all"]})
    assert verify(first, second, per_layer=True).equal
    assert verify(plain, first).equal


def test_taps_beside_the_best_classes(model: Path) -> None:
    path = embedded(model, postprocess="top5", taps=["pool", "scores"])
    for sides in [(model, path), (path, model)]:
        report = verify(*sides)
        assert report.equal
        found = {item.name for item in report.outputs}
        assert found == {"scores_top5", "scores_top5_classes", "pool", "scores"}
    assert verify_runtimes(model, path, [RUNTIMES["onnxruntime"]()]).equal


def test_colours_of_the_metadata_count(model: Path) -> None:
    path = embedded(model, **OPTIONS["bgr"])
    assert verify(model, path).equal
    edit_metadata(path, input_colors='{"image": "RGB"}')
    report = verify(model, path)
    assert not report.equal
    assert report.outputs[0].largest_absolute > 1e-4


def test_classes_that_are_wrong(model: Path) -> None:
    path = embedded(model, **OPTIONS["top5"])
    found = onnx.load(path)
    (top,) = (node for node in found.graph.node if node.op_type == "TopK")
    one = onnx.numpy_helper.from_array(np.array(1), "one")
    found.graph.initializer.append(one)
    places, top.output[1] = top.output[1], "places"
    found.graph.node.append(onnx.helper.make_node("Add", ["places", "one"], [places]))
    onnx.save(found, path)
    report = verify(model, path)
    assert [item.within for item in report.outputs] == [True, False]
    assert report.outputs[1].bound == 0.5
    assert report.outputs[1].same_argmax is None
    done = CliRunner().invoke(cli, ["verify", str(model), str(path), "--json"])
    assert done.exit_code == 1
    assert not json.loads(done.stdout.splitlines()[0])["equal"]


def test_classes_that_are_tied() -> None:
    """The second and the third are, and the last with class 9, which is left out."""
    classes, scores = np.array([[7, 3, 1, 4]]), np.array([[0.9, 0.4, 0.4001, 0.1]])
    whole = np.array([[0.01, 0.4001, 0.02, 0.4, 0.1, 0.03, 0.04, 0.9, 0.05, 0.0999]])

    def same(*others: float, bound: float = 1e-3, whole: Any = whole) -> bool:
        found = without_ties(classes, scores, np.array([others]), bound, whole)
        return bool((found == classes).all())

    assert same(7, 3, 1, 4)
    assert same(7, 1, 3, 4)
    assert same(7, 3, 1, 9)
    assert not same(7, 3, 1, 9, whole=None), "who gives the best alone does not say"
    assert same(7, 1, 3, 4, whole=None)
    assert not same(7, 3, 1, 8)
    assert not same(7, 1, 3, 4, bound=1e-6)
    assert not same(3, 7, 1, 4)
    assert not same(7, 3, 9, 4)
    assert not same(7, 3, 3, 4), "a class is there once"
    for impossible in (-1, -6, 10, 100, 3.5, np.nan):
        assert not same(7, 3, 1, impossible)


def test_a_tie_that_goes_on_beyond_the_best() -> None:
    """Where neither side has all scores: the third and the fourth are tied, and a fifth may be."""
    classes, scores = np.array([[7, 3, 1, 4]]), np.array([[0.9, 0.4, 0.1001, 0.1]])

    def same(*others: int) -> bool:
        found = without_ties(classes, scores, np.array([others]), 1e-3)
        return bool((found == classes).all())

    assert same(7, 3, 1, 9)
    assert same(7, 3, 9, 4)
    assert same(7, 3, 8, 9)
    assert not same(7, 9, 1, 4)
    assert not same(9, 3, 1, 4)
    assert not same(7, 3, 1, -1)
    assert not same(7, 3, 9, 9), "a class is there once"


def with_last_class(path: Path, made: Path, last: int, k: int) -> Path:
    """A copy of a file of top k whose last class is this one, and whose scores are right."""
    found = onnx.load(path)
    (top,) = (node for node in found.graph.node if node.op_type == "TopK")
    mask = np.arange(k) == k - 1
    arrays = {"is_last": mask, "wrong": np.array(last)}
    found.graph.initializer.extend(
        onnx.numpy_helper.from_array(value, name) for name, value in arrays.items()
    )
    places, top.output[1] = top.output[1], "places"
    node = onnx.helper.make_node("Where", ["is_last", "wrong", "places"], [places])
    found.graph.node.append(node)
    onnx.save(found, made)
    return made


@pytest.mark.parametrize(("k", "last"), [(1, 9), (1, -1), (5, 100), (5, 9), (10, 10)])
def test_a_last_class_that_is_wrong(k: int, last: int, model: Path) -> None:
    right = embedded(model, postprocess=f"top{k}")
    wrong = with_last_class(right, model.with_name("wrong.onnx"), last, k)
    plain = embedded(model, "plain.onnx")
    for a, b in ((model, wrong), (plain, wrong), (wrong, plain), (right, wrong), (wrong, right)):
        report = verify(a, b)
        assert [item.within for item in report.outputs] == [True, False], (a, b)
    assert verify(right, plain).equal
    done = CliRunner().invoke(cli, ["verify", str(model), str(wrong)])
    assert done.exit_code == 1


def test_scores_that_two_outputs_have_the_classes_of(model: Path) -> None:
    path = embedded(model, **OPTIONS["top5"])
    found = onnx.load(path)
    copy = onnx.helper.make_node("Identity", ["scores_top5_classes"], ["again"])
    found.graph.node.append(copy)
    found.graph.output.append(onnx.helper.make_tensor_value_info("again", 7, ["N", 5]))
    onnx.save(found, path)
    edit_metadata(
        path, top_classes=json.dumps(dict.fromkeys(["again", copy.input[0]], "scores_top5"))
    )
    assert verify(path, path).equal
    with pytest.raises(GraphCNNError, match="outputs"):
        verify(model, path)


def test_equal_scores_are_no_difference(tmp_path: Path) -> None:
    """Of a layer of zeros all classes are as good, and engines need not agree which is first."""
    graph = graphcnn.Graph("even")
    image = graph.input("x", (4,))
    dense = Dense(units=6, kernel_initializer=Zeros())
    graph.outputs["scores"] = graph.add(dense, image, name="scores")
    graphcnn.compile(graph, tmp_path / "a.onnx", postprocess="top3")
    found = onnx.load(tmp_path / "a.onnx")
    (top,) = (node for node in found.graph.node if node.op_type == "TopK")
    turn = onnx.numpy_helper.from_array(np.array([2, 0, 1]), "turn")
    found.graph.initializer.append(turn)
    places, top.output[1] = top.output[1], "places"
    found.graph.node.append(onnx.helper.make_node("Gather", ["places", "turn"], [places], axis=1))
    onnx.save(found, tmp_path / "b.onnx")
    assert verify(graph, tmp_path / "b.onnx").equal
    assert verify(tmp_path / "a.onnx", tmp_path / "b.onnx").equal


def test_what_has_no_scores_cannot_be_compared(model: Path, tmp_path: Path) -> None:
    path = embedded(model, **OPTIONS["top5"])
    graph = graphcnn.Graph("image")
    image = graph.input("image", (8, 10, 3))
    graph.outputs["brighter"] = graph.add(Rescaling(scale=2.0), image, name="brighter")
    with pytest.raises(VerificationError, match="gives scores_top5, and image has no scores"):
        verify(graph, path)
    other = embedded(model, "other.onnx", postprocess="top3")
    with pytest.raises(GraphCNNError, match="5 in A, and 3 in B"):
        verify(path, other)


def test_a_size_that_the_file_does_not_resize_to_is_refused(model: Path) -> None:
    path = embedded(model, **OPTIONS["larger"])
    edit_metadata(path, input_resized=None)
    with pytest.raises(ErrorGroup, match=r"'image' of .* is float32"):
        verify(model, path)


def test_an_image_is_given_to_both(model: Path) -> None:
    from PIL import Image

    path = embedded(model, **OPTIONS["larger"])
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (20, 31, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(model.with_name("photo.png"))
    report = verify(model, path, data=model.with_name("photo.png"))
    assert report.equal
    assert report.samples == 1


@pytest.mark.parametrize("name", ["onnxruntime", "openvino", "opencv", "tract"])
def test_runtimes(name: str, model: Path) -> None:
    adapter = RUNTIMES[name]()
    if adapter.missing():
        pytest.skip(f"{name} is not installed")
    options: dict[str, Any] = {"postprocess": "top3"}
    options["preprocess"] = Camera(colors="bgr", size=(12, 9))
    path = embedded(model, **options, target=name)
    report = verify_runtimes(model, path, [adapter], batches=(1, 3))
    assert [cell.state for cell in report.cells] == ["ok", "ok"], report.cells


def test_keras(tmp_path: Path) -> None:
    from graphcnn.engine import keras

    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 10, 3), name="image"),
            layers.Rescaling(1 / 127.5, offset=-1.0, name="scaled"),
            layers.Conv2D(4, 3, name="conv"),
            layers.Flatten(name="flat"),
            layers.Dense(6, activation="softmax", name="scores"),
        ]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(tmp_path / "m.keras")
    graph, weights = graphcnn.load_model(str(tmp_path / "m.keras"))
    for case, options in OPTIONS.items():
        if "taps" in options:
            continue
        top = {"postprocess": "top2"} if "postprocess" in options else {}
        path = tmp_path / f"{case}.onnx"
        graphcnn.compile(graph, path, weights=weights, **{**options, **top})
        assert verify(tmp_path / "m.keras", path).equal, case


@pytest.mark.parametrize("before", [(5, 7), (8, 8), (16, 3), (1, 1), (37, 53)])
def test_resizing_is_keras_s(before: tuple[int, int]) -> None:
    from graphcnn.engine import as_array, keras

    images = np.random.default_rng(0).integers(0, 256, (2, *before, 3)).astype(np.uint8)
    for after in ((8, 8), (5, 13), (3, 3)):
        expected = as_array(keras.layers.Resizing(*after)(images.astype(np.float32)))
        np.testing.assert_allclose(resized(images, *after), expected, atol=2e-3)
