"""``graphcnn report``: the page from the command line, and what is refused before it is written."""

from __future__ import annotations

import builtins
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import graphcnn
from graphcnn.cli.main import cli
from graphcnn.errors import GraphCNNError, MissingExtra
from graphcnn.weights import WeightStore

MODEL = """
name: tiny
inputs: {image: [H, W, 3]}
layers:
  - Conv2D: {filters: 4, kernel_size: 3, use_bias: false, name: conv}
  - BatchNormalization: {name: norm}
  - GlobalAveragePooling2D
  - Dense: {units: 3, activation: softmax, name: scores}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model file, its weights, others that do not fit, and a run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(MODEL)
    graph = graphcnn.load("tiny.yaml")
    WeightStore.random(graph.weights, 0).save("tiny.safetensors")
    np.savez("other.npz", kernel=np.zeros(3, np.float32))
    shapes = {name: spec.shape for name, spec in graph.weights.items()}
    np.savez("nan.npz", **{n: np.full(s, np.nan, np.float32) for n, s in shapes.items()})
    (tmp_path / "run").mkdir()
    records = [{"epoch": n, "loss": 1 / n, "val_loss": abs(n - 2) + 1.0} for n in (1, 2, 3)]
    (tmp_path / "run" / "log.jsonl").write_text("".join(f"{json.dumps(r)}\n" for r in records))
    return tmp_path


def invoke(line: str) -> Result:
    return CliRunner().invoke(cli, ["report", *line.split()])


def data_in(path: str | Path) -> Any:
    found = re.search('id="data">(.*?)</script>', Path(path).read_text(), re.S)
    assert found
    return json.loads(found[1])


def test_a_page_of_everything() -> None:
    line = "tiny.yaml --weights tiny.safetensors --run run --input-shape 9,9,3"
    result = invoke(line)
    assert result.exception is None, result.exception
    size = Path("report.html").stat().st_size
    assert result.output == f"saved in report.html: {size:,} bytes\n"
    data = data_in("report.html")
    assert (data["name"], data["file"]) == ("tiny", "tiny.yaml")
    assert data["layers"][0]["output_shape"] == [None, 9, 9, 3]
    assert data["layers"][1]["weights"][0]["figures"]["std"] > 0
    assert data["training"]["best"] == 1
    assert [p["name"] for p in data["passes"] if p["changed"]] == [
        "fold-affine-into-previous",
        "assign-layout",
    ]


def test_a_page_without_weights_and_run() -> None:
    assert invoke("tiny.yaml -o page.html").exception is None
    data = data_in("page.html")
    assert (data["weights"], data["training"]) == (None, None)
    assert data["layers"][0]["output_shape"] == [None, "H", "W", 3]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_model_of_keras(folder: Path) -> None:
    from graphcnn.engine import keras

    inputs = keras.Input((8, 8, 3))
    stem = [keras.layers.Conv2D(2, 1, name=f"conv_{n}") for n in range(3)]
    stem_model = keras.Sequential([keras.Input((8, 8, 3)), *stem], name="stem")
    keras.Model(inputs, keras.layers.ReLU(name="relu")(stem_model(inputs))).save("model.keras")
    assert invoke("model.keras -o page.html").exception is None
    data = data_in("page.html")
    assert [block["label"] for block in data["blocks"][1:]] == ["stem"]
    assert data["weights"].startswith("sha256:")
    assert data["layers"][1]["weights"][0]["figures"]


def test_pages_are_the_same_whatever_the_hash_seed() -> None:
    pages = set()
    for seed in "12":
        arguments = [sys.executable, "-m", "graphcnn", "report", "tiny.yaml", "-o", f"{seed}.html"]
        subprocess.run(arguments, check=True, env={**os.environ, "PYTHONHASHSEED": seed})
        pages.add(Path(f"{seed}.html").read_bytes())
    assert len(pages) == 1


def test_a_page_is_replaced_only_when_asked() -> None:
    Path("report.html").write_text("old")
    assert "--force replaces it" in str(invoke("tiny.yaml").exception)
    assert Path("report.html").read_text() == "old"
    assert invoke("tiny.yaml --force").exception is None
    assert data_in("report.html")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("missing.yaml", "missing.yaml: No such file"),
        ("tiny.yaml --weights other.npz", "weight kernel is not in the model"),
        ("tiny.yaml --weights none.npz", "none.npz"),
        ("tiny.yaml --weights nan.npz", "conv/kernel"),
        ("tiny.yaml --run nowhere", "nowhere: no such file"),
        ("tiny.yaml -o nowhere/report.html", "nowhere is not a directory"),
        ("tiny.yaml --input-shape 2,2,3", "conv (Conv2D)"),
    ],
)
def test_what_is_refused(line: str, message: str, folder: Path) -> None:
    before = sorted(folder.iterdir())
    result = invoke(line)
    assert isinstance(result.exception, GraphCNNError), result.exception
    assert message in str(result.exception)
    assert sorted(folder.iterdir()) == before


def test_igraph_is_an_extra(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    real = builtins.__import__

    def absent(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "igraph":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", absent)
    error = invoke("tiny.yaml").exception
    assert isinstance(error, MissingExtra)
    assert error.hint == "pip install 'graphcnn[report]'"
    assert not list(folder.glob("*.html"))


@pytest.mark.parametrize("line", ["report", "infer-shapes", "compile -o out.onnx"])
def test_a_compiled_file_is_no_model(line: str) -> None:
    graphcnn.compile(graphcnn.load("tiny.yaml"), "tiny.onnx")
    error = CliRunner().invoke(cli, [*line.split(), "tiny.onnx"]).exception
    assert isinstance(error, GraphCNNError)
    assert "tiny.onnx is a compiled file, and not a model" in error.message
    assert error.hint == "graphcnn inspect tiny.onnx tells what is in it"
