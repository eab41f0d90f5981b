"""``graphcnn inspect``: what it prints of a file and of a node, and its JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import helper

import graphcnn
from graphcnn import file_signature
from graphcnn.cli.inspect import command
from graphcnn.errors import ModelFileError
from graphcnn.onnx_file import read_onnx_file
from graphcnn.report.inspection import file_json, file_table
from graphcnn.runtime.signature import TensorSpec
from tests.test_onnx_file import save, zeros

MODEL = """name: tiny
inputs: {image: [8, 8, 3]}
blocks:
  unit:
    layers:
      - Conv2D: {filters: 4, kernel_size: 3, name: conv}
      - BatchNormalization: {name: norm}
layers:
  - unit: {name: stem}
  - ReLU: {name: relu}
  - Flatten
  - Dense: {units: 3, activation: softmax, name: scores}
classes: [cat, dog, cow]
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    source, path = tmp_path / "tiny.yaml", tmp_path / "tiny.onnx"
    source.write_text(MODEL)
    graphcnn.compile(graphcnn.load(source), path, verify=False)
    return path


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], "Conv_0", doc_string="made by hand"),
        helper.make_node("Relu", ["c"], ["y"], "Relu_1"),
    ]
    path, weights = tmp_path / "other.onnx", {"w": zeros(4, 3, 3, 3)}
    return save(path, nodes, weights, {"x": ["N", 3, 8, 8]}, ["y"], producer_name="hand")


def inspect(*arguments: str | Path) -> Result:
    return CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=False)


def rows(done: Result) -> dict[str, str]:
    """What stands after each label."""
    assert done.exit_code == 0
    parts = [line.strip().split("  ", 1) for line in done.output.splitlines()]
    return {part[0]: part[1].strip() for part in parts if len(part) == 2}


def test_a_file(model: Path) -> None:
    found = rows(inspect(model))
    size = model.stat().st_size
    assert found["written by"].startswith("graphcnn 0.")
    assert found["format"] == "opset 17; IR version 8"
    assert found["inputs"] == "image: float32[N, 3, 8, 8] NCHW"
    assert found["outputs"] == "scores: float32[N, 3] NC"
    assert "1 Gemm" in found["nodes"]
    assert found["multiply-accumulates"] == f"{36 * 4 * 27 + 144 * 3:,} (a sample)"
    assert found["size"].endswith(f"({size:,} bytes)")
    assert found["weights"] == "random, seed 0"
    assert found["model file"].startswith("sha256:")
    assert found["classes"] == "3: cat, dog, cow"
    assert "missing" not in found


def test_a_file_as_json(model: Path) -> None:
    found = json.loads(inspect(model, "--json").output)
    assert found["by_graphcnn"]
    assert found["bytes"] == model.stat().st_size
    assert found["opsets"] == {"ai.onnx": 17}
    assert found["nodes"] == sum(found["nodes_by_type"].values())
    plain = {"range": None, "colors": None, "resized_to": None}
    assert found["inputs"] == [
        {"name": "image", "dtype": "float32", "shape": ["N", 3, 8, 8], "layout": "NCHW", **plain}
    ]
    assert found["classes"] == ["cat", "dog", "cow"]
    assert json.loads(found["metadata"]["graphcnn.classes"]) == ["cat", "dog", "cow"]


def test_a_fused_node(model: Path) -> None:
    done = inspect(model, "--node", "stem/conv_nchwc_kernel_time")
    lines = [line.strip() for line in done.output.splitlines()]
    assert lines[0] == "stem/conv_nchwc_kernel_time is what onnxruntime makes of stem/conv"
    assert lines[1] == "stem/conv went into stem/norm"
    assert lines[2] == "stem/norm  Conv"
    found = rows(done)
    assert found["inputs"] == "image: float32[N, 3, 8, 8]"
    assert found["outputs"] == "stem/norm: float32[N, 4, 6, 6]"
    assert found["layers"] == "tiny.yaml:7:9 stem/norm (BatchNormalization) in stem"
    assert "tiny.yaml:6:9 stem/conv (Conv2D) in stem" in lines
    assert found["passes"]
    assert found["layout"] == "NCHW"


def test_a_fused_node_as_json(model: Path) -> None:
    found = json.loads(inspect(model, "--node", "stem/norm", "--json").output)
    (node,) = found["nodes"]
    assert found["notes"] == []
    assert node["op"] == "Conv"
    assert node["attributes"]["kernel_shape"] == "[3, 3]"
    assert [layer["source"] for layer in node["layers"]] == ["tiny.yaml:7:9", "tiny.yaml:6:9"]
    assert node["layers"][0]["within"] == ["stem"]
    assert [weight["shape"] for weight in node["weights"]] == [[4, 3, 3, 3], [4]]


def test_every_node_says_where_it_came_from(model: Path) -> None:
    names = {"stem/norm", "relu", "scores"}
    for name in names:
        assert rows(inspect(model, "--node", name))["layers"].startswith("tiny.yaml:")


def test_files_of_other_tools(foreign: Path) -> None:
    found = rows(inspect(foreign))
    assert found["written by"] == "hand, not by graphcnn"
    assert found["parameters"] == "108"
    assert "weights" not in found
    node = rows(inspect(foreign, "--node", "c"))
    assert node["layers"] == "the file does not say"
    assert (
        json.loads(inspect(foreign, "--node", "c", "--json").output)["nodes"][0]["layers"] is None
    )


def test_text_from_a_file_does_not_reach_the_terminal(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"], "\x1b[31m[bold]")]
    path = tmp_path / "m.onnx"
    save(path, nodes, {}, {"x": ["N", 2]}, ["y"], producer_name="\x1b]0;title\x07")
    for done in (inspect(path), inspect(path, "--node", "y")):
        assert done.exit_code == 0
        assert "\x1b" not in done.output
        assert "\x07" not in done.output
    assert "[bold]" in inspect(path, "--node", "y").output


def test_wrong_names_and_files(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError) as error:
        inspect(model, "--node", "stem/nrm")
    assert error.value.hint == "did you mean stem/norm?"
    with pytest.raises(ModelFileError, match="is not an"):
        inspect(tmp_path / "tiny.yaml")
    with pytest.raises(ModelFileError, match="no such file"):
        inspect(tmp_path / "absent.onnx")


def test_many_outputs_are_read_once(foreign: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = onnx.load(foreign)
    names = [f"more{index}" for index in range(50)]
    for name in names:
        model.graph.node.append(helper.make_node("Identity", ["y"], [name]))
        model.graph.output.append(helper.make_tensor_value_info(name, 1, ["N", 4, 6, 6]))
    onnx.save(model, foreign)
    made: list[str] = []

    class Counted(TensorSpec):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            made.append(self.name)

    monkeypatch.setattr(file_signature, "TensorSpec", Counted)
    for described in (file_json, file_table):
        made.clear()
        described(read_onnx_file(foreign))
        assert made == ["x", "y", *names]
