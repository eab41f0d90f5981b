"""``graphcnn tune``: what it prints and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import graphcnn
from graphcnn.cli.tune import command
from graphcnn.errors import DataError, ExportError, OptionError

MODEL = """
name: tiny
inputs: {image: [4, 4, 2]}
layers:
  - Flatten: {name: flat}
  - Dense: {units: 3, activation: softmax, name: scores}
"""


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(MODEL)
    graph = graphcnn.load("tiny.yaml")
    graphcnn.WeightStore.random(graph.weights, 0).save("w.safetensors")
    x = np.random.default_rng(0).standard_normal((8, 4, 4, 2)).astype(np.float32)
    np.savez("data.npz", x_train=x, y_train=np.arange(8) % 3, x_test=x, y_test=np.arange(8) % 3)
    np.save("x.npy", x)
    return "tiny.yaml"


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


ALL = ("--weights", "w.safetensors", "-o", "out", "--time-limit", "0.001")


def test_it_prints_a_table_and_what_was_chosen(model: str) -> None:
    result = invoke(model, *ALL, "--data", "data.npz")
    assert result.exception is None, result.exception
    assert "tiny: latency, batch 1, at most 0.2 points of accuracy lost" in result.stdout
    assert "plain float32 with default settings is kept: no time was left" in result.stdout
    assert "out: candidates.json, deploy.json, tiny.onnx" in result.stderr
    assert graphcnn.Session("out/tiny.onnx").tuned


def test_json_is_what_it_writes(model: str) -> None:
    result = invoke(model, *ALL, "--data", "x.npy", "--budget", "snr=30", "--json")
    assert result.exception is None, result.exception
    found = json.loads(result.stdout)
    assert found == json.loads(Path("out/candidates.json").read_text())
    assert found["budget"] == "at least 30 dB"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (("--data", "data.npz", "--budget", "fast"), OptionError, "expected accuracy=SHARE"),
        (("--data", "nothing.npz"), DataError, "nothing.npz"),
        (("--data", "x.npy"), DataError, "no labels"),
    ],
)
def test_bad_input_is_refused_and_nothing_written(
    model: str, options: tuple[str, ...], error: type[Exception], message: str
) -> None:
    before = sorted(Path().iterdir())
    result = invoke(model, *ALL[:-1], 30, *options)
    assert isinstance(result.exception, error)
    assert message in str(result.exception)
    assert sorted(Path().iterdir()) == before


def test_a_model_file_needs_weights_and_a_folder_that_is_free(model: str) -> None:
    result = invoke(model, *ALL[2:], "--data", "data.npz")
    assert result.exit_code == 2
    assert "needs --weights" in result.stderr
    Path("out").mkdir()
    Path("out/mine").write_text("")
    result = invoke(model, *ALL, "--data", "data.npz")
    assert isinstance(result.exception, ExportError)
    assert invoke(model, *ALL, "--data", "data.npz", "--force").exception is None
    assert Path("out/mine").exists()
