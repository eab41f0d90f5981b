"""Class names, from the model file or the weights to what ``graphcnn run`` prints."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import click
import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file

import graphcnn
from graphcnn import Graph, GraphCNNError, WeightStore
from graphcnn.classes import check_classes
from graphcnn.cli.main import cli
from graphcnn.ops import Dense

MODEL = """
inputs: {image: [4, 4, 1]}
layers:
  - Flatten
  - Dense: {units: 3, activation: softmax, name: scores}
"""
NAMES = ("cat", "dog", "große Maus")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.yaml"
    path.write_text(f"classes: {json.dumps(NAMES)}\n{MODEL}")
    return path


@pytest.fixture
def graph(model: Path) -> Graph:
    return graphcnn.load(model)


def store(graph: Graph, classes: tuple[str, ...] = ()) -> WeightStore:
    """Weights that favour the last class."""
    arrays = {name: np.zeros(spec.shape, np.float32) for name, spec in graph.weights.items()}
    arrays["scores/bias"][:] = (0, 0, 2)
    return WeightStore.from_arrays(arrays, classes=classes)


def metadata(path: Path) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


def printed(*arguments: str | Path) -> str:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exception is None, result.exception
    return click.unstyle(result.stdout)


class TestEndToEnd:
    @pytest.mark.parametrize("source", ["model", "weights", "both"])
    def test_names_and_probabilities(
        self, model: Path, graph: Graph, tmp_path: Path, source: str
    ) -> None:
        if source == "weights":
            model.write_text(MODEL)
        weights = tmp_path / "w.safetensors"
        store(graph, () if source == "model" else NAMES).save(weights)
        out = tmp_path / "model.onnx"
        printed("compile", model, "--weights", weights, "-o", out)
        assert json.loads(metadata(out)["graphcnn.classes"]) == list(NAMES)
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "x.png")
        rows = [line.split() for line in printed("run", out, tmp_path / "x.png").splitlines()]
        share = np.exp([2, 0, 0]) / np.exp([2, 0, 0]).sum()
        assert ["2", "große", "Maus", f"{share[0]:.6g}"] in [row[:4] for row in rows]
        assert ["0", "cat", f"{share[1]:.6g}"] in [row[:3] for row in rows]

    def test_no_names(self, tmp_path: Path) -> None:
        (tmp_path / "model.yaml").write_text(MODEL)
        graphcnn.compile(graphcnn.load(tmp_path / "model.yaml"), tmp_path / "model.onnx")
        assert "graphcnn.classes" not in metadata(tmp_path / "model.onnx")


class TestCompile:
    @pytest.mark.parametrize(
        ("other", "message"),
        [
            (("cat", "dog", "mouse"), "class 2 is große Maus in the model, and mouse in its"),
            (("cat", "dog"), "class 2 is große Maus in the model, and absent in its weights"),
            (("dog", "cat", "große Maus"), "class 0 is cat in the model, and dog in its weights"),
        ],
    )
    def test_names_that_differ(
        self, graph: Graph, tmp_path: Path, other: tuple[str, ...], message: str
    ) -> None:
        with pytest.raises(GraphCNNError, match=message):
            graphcnn.compile(graph, tmp_path / "x.onnx", weights=store(graph, other))
        assert not (tmp_path / "x.onnx").exists()

    def test_names_of_weights_that_do_not_fit(self, graph: Graph, tmp_path: Path) -> None:
        graph.classes = ()
        with pytest.raises(
            GraphCNNError, match="2 is the number of class names, and 3 the last size of scores"
        ):
            graphcnn.compile(graph, tmp_path / "x.onnx", weights=store(graph, ("a", "b")))

    def test_names_of_a_graph_made_in_python(self, graph: Graph, tmp_path: Path) -> None:
        graph.classes = ("a", "a", "b")
        with pytest.raises(GraphCNNError, match="the class 'a' is named twice"):
            graphcnn.compile(graph, tmp_path / "x.onnx")

    def test_taps_need_no_names(self, graph: Graph, tmp_path: Path) -> None:
        graphcnn.compile(graph, tmp_path / "x.onnx", taps="all")
        assert "graphcnn.classes" in metadata(tmp_path / "x.onnx")

    def test_a_clone_keeps_them(self, graph: Graph) -> None:
        assert graph.clone().classes == graph.classes == NAMES

    def test_several_outputs(self) -> None:
        """Rows of scores must fit; feature maps have none."""
        graph = Graph()
        x = graph.input("x", (5, 7))
        graph.outputs["map"] = x = graph.add(Dense(units=4), x)
        graph.outputs["y"] = graph.add(Dense(units=2), graph.input("v", (3,)))
        check_classes(graph, ["a", "b"])
        with pytest.raises(GraphCNNError, match="and 2 the last size of y"):
            check_classes(graph, ["a", "b", "c", "d"])

    def test_one_score_for_two_classes(self) -> None:
        graph = Graph()
        graph.outputs["y"] = graph.add(Dense(units=1), graph.input("v", (3,)))
        check_classes(graph, ["no", "yes"])
        with pytest.raises(
            GraphCNNError, match="3 is the number of class names, and 1 the last size of y"
        ):
            check_classes(graph, ["no", "yes", "perhaps"])


class TestWeightsFile:
    def test_saved_and_read(self, graph: Graph, tmp_path: Path) -> None:
        file = tmp_path / "w.safetensors"
        store(graph, NAMES).save(file)
        assert WeightStore.read(file).classes == NAMES
        first = file.read_bytes()
        WeightStore.read(file).save(file)
        assert file.read_bytes() == first
        with safe_open(file, framework="numpy") as content:
            assert content.metadata() == {"classes": json.dumps(NAMES)}

    def test_none(self, graph: Graph, tmp_path: Path) -> None:
        store(graph).save(tmp_path / "w.safetensors")
        assert WeightStore.read(tmp_path / "w.safetensors").classes == ()
        with safe_open(tmp_path / "w.safetensors", framework="numpy") as content:
            assert content.metadata() is None

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("cat, dog", "its class names are not JSON"),
            ("[" * 100_000, "its class names are not JSON"),
            ('{"cat": 0}', "expected a list of class names"),
            ("[]", "expected a list of class names"),
            ('["cat", 3]', "expected class names that can be printed, found 3"),
            ('["cat", "\\u001b[2J"]', "expected class names that can be printed"),
            ('["cat", " "]', "expected class names that can be printed"),
            ('["cat", "cat"]', "the class 'cat' is named twice"),
        ],
    )
    def test_malformed(self, tmp_path: Path, text: str, message: str) -> None:
        file = tmp_path / "w.safetensors"
        save_file({"a": np.zeros(2, np.float32)}, file, metadata={"classes": text})
        with pytest.raises(GraphCNNError, match=message) as caught:
            WeightStore.read(file)
        assert str(file) in str(caught.value)

    def test_metadata_that_is_no_text(self, tmp_path: Path) -> None:
        header = json.dumps({"__metadata__": {"classes": ["cat"]}}).encode()
        file = tmp_path / "w.safetensors"
        file.write_bytes(struct.pack("<Q", len(header)) + header)
        with pytest.raises(GraphCNNError, match=r"not a readable \.safetensors file"):
            WeightStore.read(file)
