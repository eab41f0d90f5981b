"""``graphcnn compile --precision int8``: what it prints, its JSON, and its exit codes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result

import graphcnn
from graphcnn.cli.compile import command
from graphcnn.errors import CheckFailed, GraphError, OptionError
from graphcnn.weights import WeightStore
from tests.random_values import random_arrays

MODEL = """
inputs: {image: [8, 8, 3]}
layers:
  - Conv2D: {filters: 8, kernel_size: 3, activation: relu, name: conv}
  - Flatten
  - Dense: {units: 3, activation: softmax, name: scores}
"""


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "tiny.yaml"
    path.write_text(MODEL)
    store = WeightStore.from_arrays(random_arrays(graphcnn.load(path)))
    store.save(tmp_path / "w.safetensors")
    x = np.random.default_rng(0).standard_normal((40, 8, 8, 3)).astype(np.float32)
    y = np.arange(40) % 3
    np.savez(tmp_path / "data.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    np.save(tmp_path / "data.npy", x)
    return path


def compiled(*arguments: str, precision: str = "int8") -> Result:
    return CliRunner().invoke(
        command,
        ["tiny.yaml", "--weights", "w.safetensors", "--precision", precision, *arguments],
        catch_exceptions=False,
        standalone_mode=False,
    )


def strict(text: str) -> Any:
    return json.loads(text, parse_constant=pytest.fail)


def test_what_is_printed(model: Path) -> None:
    found = compiled("--data", "data.npz", "--budget", "accuracy=0.5")
    assert found.stdout == ""
    lines = found.stderr.splitlines()
    assert re.match(r"tiny\.onnx: [\d,]+ bytes, \d+ nodes, 1,091 parameters ", lines[0])
    assert re.match(r"int8: u?int8 activations, int8.* weights a channel \(.+\)", lines[1])
    rest = "\n".join(lines[2:])
    assert "ranges: minmax of 40 samples" in rest
    assert re.search(r"% to .*% accurate \([+-]\d\.\d\d points\), on the test split", rest)
    assert "(40 samples)" in rest
    assert "0 of 2 layers in float" in rest
    assert "alone in integers" not in rest


def test_the_ranking(model: Path) -> None:
    found = compiled("--data", "data.npy", "--sensitivity", "--keep-float", "scores")
    assert re.search(r"[\d.]+ dB, on half of the samples \(20 samples\)", found.stderr)
    assert "1 of 2 layers in float: scores" in found.stderr
    assert "each layer alone in integers, on 20 samples" in found.stderr
    assert re.search(r"conv \(Conv2D\) +Conv +tiny\.yaml:4:5 +[\d.]+ dB +int8", found.stderr)
    assert "accuracy" not in found.stderr


def test_json(model: Path) -> None:
    found = compiled("--data", "data.npz", "--json", "--sensitivity", "--budget", "snr=10",
                     "--calibration", "percentile", "--calibration-samples", "16")  # fmt: skip
    result = strict(found.stdout)
    assert found.stderr == ""
    assert result["path"] == "tiny.onnx"
    assert result["bytes"] == Path("tiny.onnx").stat().st_size
    quality, integers = result["quality"], result["quantization"]
    assert quality["budget"] == {"snr": 10.0}
    assert quality["held_out"] == {"samples": 40, "split": "the test split"}
    assert quality["float32"]["snr_db"] is None
    assert quality["file"]["snr_db"] > 10
    assert 0 <= quality["file"]["accuracy"] <= 1
    assert integers["calibration"] == {"method": "percentile", "samples": 16}
    assert integers["activations"] in ("int8", "uint8")
    assert integers["reason"]
    assert integers["layers"] == 2
    assert integers["float_layers"] == []
    assert [attempt["float_layers"] for attempt in integers["attempts"]] == [0]
    assert {damage["layer"] for damage in integers["damages"]} == {"conv", "scores"}
    conv = next(damage for damage in integers["damages"] if damage["layer"] == "conv")
    assert (conv["node"], conv["op"], conv["place"]) == ("conv/conv", "Conv", "tiny.yaml:4:5")
    assert integers["damage_samples"] == 40


def test_json_of_noiseless_files(model: Path) -> None:
    np.save("zeros.npy", np.zeros((8, 8, 8, 3), np.float32))
    arrays = random_arrays(graphcnn.load(model))
    zeros = {name: np.zeros_like(array) for name, array in arrays.items()}
    WeightStore.from_arrays(zeros).save(Path("w.safetensors"))
    result = strict(compiled("--data", "zeros.npy", "--json", "--force").stdout)
    assert result["quality"]["file"] == {"accuracy": None, "snr_db": None}


def test_standard_output(model: Path) -> None:
    command_line = [sys.executable, "-m", "graphcnn", "compile", "tiny.yaml", "--precision", "int8",
                    "--data", "data.npy", "-o", "-"]  # fmt: skip
    done = subprocess.run(command_line, capture_output=True, timeout=120, check=True)
    Path("piped.onnx").write_bytes(done.stdout)
    onnx.checker.check_model("piped.onnx", full_check=True)
    assert done.stderr.decode().startswith("standard output: ")


def test_a_budget_that_does_not_hold(model: Path) -> None:
    with pytest.raises(CheckFailed, match="the budget does not hold: at least 300 dB") as error:
        compiled("--data", "data.npy", "--budget", "snr=300")
    assert error.value.exit_code == 1
    assert not Path("tiny.onnx").exists()
    assert sorted(p.name for p in model.parent.iterdir()) == [
        "data.npy", "data.npz", "tiny.yaml", "w.safetensors"
    ]  # fmt: skip


def test_half_precision_is_measured(model: Path) -> None:
    found = compiled("--data", "data.npz", "--budget", "accuracy=0.5", precision="fp16")
    assert re.search(r"points\), on the test split \(40 samples\)\n$", found.stderr)
    result = strict(
        compiled("--data", "data.npy", "--json", "--force", precision="fp16-body").stdout
    )
    assert result["quantization"] is None
    assert result["quality"]["file"]["snr_db"] > 30


def test_without_data_nothing_is_measured(model: Path) -> None:
    result = strict(compiled("--json", precision="fp16").stdout)
    assert not {"quality", "quantization"} & result.keys()


@pytest.mark.parametrize(
    ("arguments", "precision", "problem"),
    [
        ([], "int8", "int8 needs data"),
        (["--budget", "snr=3"], "int8", "--budget needs --data"),
        (["--budget", "snr=3"], "fp16", "--budget needs --data"),
        (["--data", "data.npy"], "fp32", "fp32 loses nothing"),
        (["--data", "data.npy", "--keep-float", "conv"], "fp16", "--keep-float and --sensitivity"),
        (["--data", "data.npy", "--sensitivity"], "fp16-body", "--keep-float and --sensitivity"),
        (["--keep-float", "conv"], "fp32", "--keep-float and --sensitivity"),
        (["--sensitivity"], "fp16", "--keep-float and --sensitivity"),
        (["--data", "data.npy", "--external-data", "always"], "int8", "hold their weights"),
        (["--data", "data.npy", "--budget", "accuracy=0.1"], "int8", "no labels"),
        (["--data", "none.npy"], "int8", "cannot be read"),
        (["--data", "data.npy", "--calibration", "mean"], "int8", "'mean' is not one of"),
        (["--data", "data.npy", "--calibration-samples", "0"], "int8", "0 is not in the range"),
    ],
)
def test_what_does_not_fit(arguments: list[str], precision: str, problem: str, model: Path) -> None:
    with pytest.raises(Exception, match=problem):
        compiled(*arguments, precision=precision)
    assert not Path("tiny.onnx").exists()


def test_wrong_names_and_budgets(model: Path) -> None:
    with pytest.raises(GraphError, match="no layer named 'cov'") as error:
        compiled("--data", "data.npy", "--keep-float", "cov")
    assert "conv" in (error.value.hint or "")
    with pytest.raises(OptionError, match="expected accuracy=SHARE or snr=DECIBELS"):
        compiled("--data", "data.npy", "--budget", "0.2")


def test_the_examples_of_the_help(model: Path) -> None:
    text = CliRunner().invoke(command, ["--help"]).output
    (example,) = re.findall(r"graphcnn (compile .*--precision int8.*)", text)
    assert "--data photos/" in example
    (model.parent / "model.yaml").write_text(MODEL)
    arguments = (
        example.replace("photos/", "data.npz").replace("model.keras", "model.yaml").split()[1:]
    )
    found = CliRunner().invoke(command, [*arguments, "--budget", "accuracy=1"])
    assert found.exit_code == 0, found.output
    assert Path("model.onnx").exists()
