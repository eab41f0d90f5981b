"""Running files that take a camera's bytes: images, data, classes, and metadata of strangers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import graphcnn
from graphcnn import Camera, Graph
from graphcnn.cli.main import cli
from graphcnn.errors import EvaluationError, GraphCNNError
from graphcnn.evaluation import evaluate_file, predict_samples
from graphcnn.initializers import Constant
from graphcnn.ops import Dense, GlobalAveragePooling2D, Rescaling
from graphcnn.runtime.predict import Predictor, feature_maps
from graphcnn.runtime.run import run, run_files
from graphcnn.scoring import evaluate_best

from .models import edit_metadata

NAMES = ("red", "green", "blue")


@pytest.fixture
def graph() -> Graph:
    """The mean of each colour is its score."""
    graph = Graph("colours")
    image = graph.input("image", (4, 6, 3))
    scaled = graph.add(Rescaling(scale=1 / 255), image, name="scaled")
    kernel = Constant(value=tuple(map(tuple, np.eye(3).tolist())))
    mean = graph.add(GlobalAveragePooling2D(), scaled)
    dense = Dense(units=3, kernel_initializer=kernel)
    graph.outputs["scores"] = graph.add(dense, mean, name="scores")
    graph.classes = NAMES
    return graph


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """More blue than red, and no green."""
    pixels = np.zeros((8, 12, 3), np.uint8)
    pixels[...] = (100, 0, 200)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


OPTIONS: list[dict[str, Any]] = [
    {"preprocess": "embed"},
    {"preprocess": Camera(colors="bgr"), "input_layout": "nchw"},
    {"preprocess": Camera(colors="bgr", size=(5, 9)), "postprocess": "top2"},
    {"postprocess": "top3"},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_an_image_is_given_as_the_file_takes_it(
    options: dict[str, Any], graph: Graph, photo: Path, tmp_path: Path
) -> None:
    graphcnn.compile(graph, tmp_path / "m.onnx", **options)
    result = run(tmp_path / "m.onnx", photo)
    (best,) = result.outputs[0].top(2) or []
    assert [(score.name, score.index) for score in best] == [("blue", 2), ("red", 0)]
    assert [score.value for score in best] == pytest.approx([200 / 255, 100 / 255])
    assert all(output.top(1) is None for output in result.outputs[1:])
    done = CliRunner().invoke(cli, ["run", str(tmp_path / "m.onnx"), str(photo), "--top", "1"])
    assert done.exit_code == 0, done.output
    assert "blue" in done.output
    assert "red" not in done.output
    assert "classes" not in done.output.replace("scores_top", "")


def test_several_images_keep_their_own_classes(graph: Graph, photo: Path, tmp_path: Path) -> None:
    options = OPTIONS[2]
    graphcnn.compile(graph, tmp_path / "m.onnx", **options)
    other = tmp_path / "green.png"
    Image.new("RGB", (3, 3), (10, 90, 50)).save(other)
    result = run_files(tmp_path / "m.onnx", [photo, other])
    names = [[score.name for score in best] for best in result.outputs[0].top(2) or []]
    assert names == [["blue", "red"], ["green", "blue"]]


def test_session_takes_the_file_s_own_pixels(graph: Graph, tmp_path: Path) -> None:
    graphcnn.compile(graph, tmp_path / "m.onnx", preprocess=Camera(colors="bgr"))
    session = graphcnn.Session(tmp_path / "m.onnx")
    (spec,) = session.inputs.values()
    assert (str(spec), spec.layout, spec.colors) == ("uint8[N, 4, 6, 3]", "NHWC", "BGR")
    bgr = np.zeros((4, 6, 3), np.uint8)
    bgr[..., 0] = 255
    np.testing.assert_allclose(session.run(bgr)["scores"], [[0, 0, 1]], atol=1e-6)
    with pytest.raises(graphcnn.GraphCNNError, match="cannot be held by uint8"):
        session.run(bgr / 2 + 0.25)


@pytest.mark.parametrize("options", OPTIONS)
def test_data_are_given_as_the_file_takes_them(
    options: dict[str, Any], graph: Graph, tmp_path: Path
) -> None:
    size = getattr(options.get("preprocess"), "size", None) or (4, 6)
    rng = np.random.default_rng(2)
    x = rng.integers(0, 256, (20, *size, 3)).astype(np.uint8)
    y = x.mean(axis=(1, 2)).argmax(axis=1)
    y[:5] = (y[:5] + 1) % 3
    np.savez(tmp_path / "d.npz", x_test=x, y_test=y)
    graphcnn.compile(graph, tmp_path / "m.onnx", **options)
    report = evaluate_file(tmp_path / "m.onnx", str(tmp_path / "d.npz"))
    found: Any = report.measurements[0].evaluation
    assert found.classes == NAMES
    if size == (4, 6):
        assert found.accuracy == 0.75
    assert (found.loss is None) == ("postprocess" in options)
    if options.get("postprocess") == "top3":
        assert found.among_best == (3, 1.0)
    done = CliRunner().invoke(
        cli, ["evaluate", str(tmp_path / "m.onnx"), "--data", str(tmp_path / "d.npz"), "--json"]
    )
    (result,) = json.loads(done.output)["results"]
    assert result["accuracy"] == found.accuracy
    assert (result.get("top_k"), result["loss"] is None) == (
        found.among_best and found.among_best[0],
        found.loss is None,
    )


def test_data_of_the_model_s_size_for_a_camera_s_file(graph: Graph, tmp_path: Path) -> None:
    x, y = np.zeros((2, 4, 6, 3), np.uint8), np.zeros(2, np.int64)
    np.savez(tmp_path / "d.npz", x_test=x, y_test=y)
    graphcnn.compile(graph, tmp_path / "m.onnx", preprocess=Camera(size=(5, 9)))
    with pytest.raises(GraphCNNError, match=r"model's input is \[5, 9, 3\]") as caught:
        evaluate_file(tmp_path / "m.onnx", str(tmp_path / "d.npz"))
    assert str(caught.value.hint).startswith("--camera-size gave the file its input")


def test_best_classes_are_evaluated_by_hand() -> None:
    best = np.array([[0, 1], [1, 2], [2, 0], [1, 0]])
    found = evaluate_best(best, np.array([0, 2, 2, 2]))
    assert (found.accuracy, found.among_best, found.loss) == (0.5, (2, 0.75), None)
    assert found.confusion.tolist() == [[1, 0, 0], [0, 0, 0], [0, 2, 1]]
    with pytest.raises(EvaluationError, match="the model gives class 2, and there are 2"):
        evaluate_best(best, np.array([0, 1, 1, 1]), ("a", "b"))
    with pytest.raises(EvaluationError, match="there is a label 3"):
        evaluate_best(best, np.array([0, 1, 1, 3]), NAMES)


def test_what_needs_all_scores_says_so(graph: Graph, tmp_path: Path) -> None:
    graphcnn.compile(graph, tmp_path / "m.onnx", postprocess="top2")
    x = np.zeros((3, 4, 6, 3), np.uint8)
    np.savez(tmp_path / "d.npz", x_test=x, y_test=np.arange(3))
    np.savez(tmp_path / "t.npz", x_test=x, y_test=np.zeros((3, 2), np.float32))
    with pytest.raises(EvaluationError, match="gives its best classes alone"):
        predict_samples(tmp_path / "m.onnx", str(tmp_path / "d.npz"), count=2)
    with pytest.raises(EvaluationError, match=r"and .*t\.npz has targets"):
        evaluate_file(tmp_path / "m.onnx", str(tmp_path / "t.npz"))


def test_an_image_is_shown_in_its_own_colours(graph: Graph, photo: Path, tmp_path: Path) -> None:
    graphcnn.compile(graph, tmp_path / "m.onnx", preprocess=Camera(colors="bgr"), taps=["scaled"])
    shown, maps = feature_maps(tmp_path / "m.onnx", photo)
    assert shown[0, 0].tolist() == [100, 0, 200]
    np.testing.assert_allclose(maps["scaled"][0, 0], np.array([100, 0, 200]) / 255, rtol=1e-6)


@pytest.mark.parametrize(
    "changes",
    [
        {"input_colors": "[1]"},
        {"input_colors": '{"image": "GBR"}'},
        {"input_colors": '{"image": ["BGR"]}'},
        {"input_colors": '{"other": "BGR"}'},
        {"input_colors": "{" * 5000},
        {"input_resized": '{"image": [0, 4]}'},
        {"input_resized": '{"image": [4, 4, 4]}'},
        {"input_resized": '{"image": [true, 4]}'},
        {"input_resized": '{"image": "44"}'},
        {"input_layouts": '{"image": "NABC"}'},
    ],
)
def test_what_strangers_write_of_inputs_is_passed_over(
    changes: dict[str, str], graph: Graph, tmp_path: Path
) -> None:
    graphcnn.compile(graph, tmp_path / "m.onnx", preprocess="embed")
    edit_metadata(tmp_path / "m.onnx", **{"input_colors": None, **changes})
    (spec,) = graphcnn.Session(tmp_path / "m.onnx").inputs.values()
    assert (spec.colors, spec.resized) == ("", None)
    done = CliRunner().invoke(cli, ["inspect", str(tmp_path / "m.onnx")])
    assert done.exit_code == 0, done.output
    assert "BGR" not in done.output
    assert "resized" not in done.output


@pytest.mark.parametrize(
    "tops",
    [
        '{"scores_top2": "scores_top2_classes"}',
        '{"scores_top2_classes": "scores"}',
        '{"scores_top2_classes": ["scores_top2"]}',
        '{"scores_top2_classes": null}',
        '{"classes": "scores_top2"}',
        "7",
    ],
)
def test_what_strangers_write_of_best_classes_is_passed_over(
    tops: str, graph: Graph, tmp_path: Path
) -> None:
    graphcnn.compile(graph, tmp_path / "m.onnx", postprocess="top2")
    edit_metadata(tmp_path / "m.onnx", top_classes=tops)
    assert not graphcnn.Session(tmp_path / "m.onnx").tops
    assert Predictor(tmp_path / "m.onnx").best is None
    x = np.zeros((1, 4, 6, 3), np.uint8)
    result = run(tmp_path / "m.onnx", np.moveaxis(x, -1, 1))
    assert all(output.indices is None for output in result.outputs)
    done = CliRunner().invoke(cli, ["inspect", str(tmp_path / "m.onnx"), "--json"])
    assert all(row["classes_of"] is None for row in json.loads(done.output)["outputs"])


def test_classes_beyond_the_names_have_none(graph: Graph, photo: Path, tmp_path: Path) -> None:
    graphcnn.compile(graph, tmp_path / "m.onnx", postprocess="top2")
    edit_metadata(tmp_path / "m.onnx", classes='["red"]')
    (best,) = run(tmp_path / "m.onnx", photo).outputs[0].top(2) or []
    assert [(score.index, score.name) for score in best] == [(2, None), (0, "red")]
    done = CliRunner().invoke(cli, ["run", str(tmp_path / "m.onnx"), str(photo)])
    assert done.exit_code == 0, done.output
