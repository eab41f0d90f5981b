"""The command import, and Keras models given to the other commands."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import graphcnn
from graphcnn.text import print_graph
from graphcnn.weights import WeightStore
from tests.frontends.keras_files import archive, entry, layer, network, run


@pytest.fixture
def model(tmp_path: Path) -> Path:
    conv = layer("Conv2D", "conv", "x", filters=2, kernel_size=[3, 3])
    pool = layer("GlobalAveragePooling2D", "pool", "conv", data_format="channels_last")
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((3, 3, 3, 2)).astype(np.float32), np.ones(2, np.float32)]
    model = network(entry("x", None, None, 3), conv, pool)
    return archive(tmp_path / "m.keras", model, {"conv": arrays})


def test_both_files(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("import", str(model)) == 0
    assert "m.yaml: 2 layers, 56 parameters in" in capsys.readouterr().err
    text = model.with_suffix(".yaml").read_text()
    assert text.splitlines() == [
        "# From m.keras, by graphcnn import. Its weights: m.safetensors.",
        "name: net",
        "inputs:",
        "  x: [H, W, 3]",
        "layers:",
        "  - Conv2D: {filters: 2, kernel_size: 3, name: conv}",
        "  - GlobalAveragePooling2D: {name: pool}",
    ]
    graph, store = graphcnn.load_model(model)
    again = graphcnn.load(model.with_suffix(".yaml"))
    assert print_graph(again, origins=False) == print_graph(graph, origins=False)
    found = WeightStore.read(model.with_suffix(".safetensors"))
    found.check(again.weights)
    assert store is not None
    np.testing.assert_array_equal(found["conv/kernel"].load(), store["conv/kernel"].load())


def test_the_model_file_alone(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = model.with_name("other.yml")
    assert run("import", str(model), "-o", str(target), "--no-weights") == 0
    assert "parameters in" not in capsys.readouterr().err
    assert sorted(path.name for path in model.parent.iterdir()) == ["m.keras", "other.yml"]


@pytest.mark.parametrize("taken", ["m.yaml", "m.safetensors"])
def test_files_that_are_there_stay(
    model: Path, taken: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = model.with_name(taken)
    path.write_text("mine")
    assert run("import", str(model)) == 2
    assert f"{taken} exists" in capsys.readouterr().err
    assert sorted(p.name for p in model.parent.iterdir()) == sorted(["m.keras", taken])
    assert run("import", str(model), "--force") == 0
    assert path.read_bytes() != b"mine"


def test_neither_file_where_one_fails(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "no space left")

    monkeypatch.setattr(WeightStore, "save", fail)
    assert run("import", str(model)) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert [path.name for path in model.parent.iterdir()] == ["m.keras"]


def test_another_ending(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("import", str(model), "-o", "m.onnx") == 2
    assert "a model file ends in .yaml" in capsys.readouterr().err


def test_compile_takes_the_weights_along(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("compile", str(model), "--input-shape", "9,10,3") == 0
    assert "sha256:" in capsys.readouterr().err
    assert run("infer-shapes", str(model), "--json", "--input-shape", "x=9,10,3") == 0
    assert json.loads(capsys.readouterr().out)["total_params"] == 56
    weights = str(model.with_name("w.safetensors"))
    kernel, bias = np.zeros((3, 3, 3, 2), np.float32), np.zeros(2, np.float32)
    WeightStore.from_arrays({"conv/kernel": kernel, "conv/bias": bias}).save(weights)
    assert run("compile", str(model), "--weights", weights, "--force") == 0


@pytest.mark.parametrize(
    "shape", ["", "9", "9,,3", "9,0,3", "9,10,x", "y=9,10,3", "-9,10,3", "x=9,10,3,4"]
)
def test_sizes_that_are_wrong(model: Path, shape: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("infer-shapes", str(model), "--input-shape", shape) == 2
    said = capsys.readouterr().err
    assert "input-shape" in said or "no input named 'y'" in said or "has 3 sizes" in said
