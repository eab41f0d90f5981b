"""``graphcnn targets``, and targets of compile and inspect."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

MODEL = """
name: pools
inputs: {x: [4, 4, 4, 2]}
layers:
  - MaxPooling3D: {name: first}
  - MaxPooling3D: {name: second}
"""


def _graphcnn(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "graphcnn", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_targets_are_listed_with_what_was_measured() -> None:
    rows = json.loads(_graphcnn("targets", "--json").stdout)
    assert [row["name"] for row in rows] == [
        *("onnxruntime", "onnxruntime-web", "openvino", "opencv", "tract"),
        *("mnn", "ncnn", "tvm", "tensorrt"),
    ]
    assert [row["name"] for row in rows if not row["measured"]] == ["tensorrt"]
    assert all(row["version"] and row["opset"] >= 13 for row in rows)
    assert [row["name"] for row in rows if not row["symbolic_batch"]] == ["ncnn"]
    taken = {row["name"]: set(row["operators"]) for row in rows}
    assert {"Conv", "TopK"} <= taken["opencv"]
    assert taken["opencv"] - taken["ncnn"] > {"TopK"}
    shown = _graphcnn("targets", "ncnn")
    (line,) = (line for line in shown.stdout.splitlines() if line.startswith("operators of ncnn: "))
    assert taken["ncnn"] == set(line.partition(": ")[2].split(", "))
    assert "20261020" in shown.stdout
    assert "ThresholdedRelu" in shown.stdout
    assert _graphcnn("targets", "nccn").returncode == 2


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("targets") / "pools.yaml"
    path.write_text(MODEL)
    return path


def test_compile_lists_every_layer_that_does_not_fit(model: Path) -> None:
    out = model.with_suffix(".onnx")
    done = _graphcnn("compile", model, "-o", out)
    assert done.returncode == 2
    assert not out.exists()
    assert "pools.yaml:5:5: first (MaxPooling3D): MaxPool 3D: mnn gives wrong" in done.stderr
    assert "pools.yaml:6:5: second (MaxPooling3D)" in done.stderr
    assert (
        "--target onnxruntime,onnxruntime-web,openvino,opencv,tract,ncnn,tvm takes" in done.stderr
    )
    done = _graphcnn("compile", model, "-o", out, "--target", "tvm", "--target", "opencv")
    assert done.returncode == 0
    assert "; for tvm, opencv; " in done.stderr


def test_inspect_exits_with_1_where_a_file_does_not_fit(model: Path) -> None:
    out = model.with_name("checked.onnx")
    assert _graphcnn("compile", model, "-o", out, "--target", "onnxruntime").returncode == 0
    for targets in (["onnxruntime,tvm"], ["onnxruntime", "--target", "tvm"]):
        fits = _graphcnn("inspect", out, "--target", *targets)
        assert (fits.returncode, fits.stdout) == (0, f"{out} fits onnxruntime, tvm\n")
    refused = _graphcnn("inspect", out, "--target", "portable")
    assert refused.returncode == 1
    assert "pools.yaml:5:5 first (MaxPooling3D)" in refused.stdout
    assert refused.stdout.count("mnn gives wrong values for batches") == 1
    found = json.loads(_graphcnn("inspect", out, "--target", "mnn", "--json").stdout)
    assert found["fits"] is False
    assert [row["layers"][0]["name"] for row in found["misfits"]] == ["first", "second"]
    assert found["misfits"][0]["refusals"] == {"mnn": "gives wrong values for batches"}


def test_precision_that_a_target_does_not_take(model: Path) -> None:
    done = _graphcnn("compile", model, "--precision", "fp16-body", "--target", "ncnn", "--force")
    assert done.returncode == 2
    assert "--precision fp16-body does not run everywhere on ncnn" in done.stderr
    done = _graphcnn("compile", model, "--precision", "int8", "--target", "ncnn", "--force")
    assert "--precision int8 does not run everywhere on ncnn" in done.stderr, "before data"


def test_a_line_that_is_repeated_is_told_once(tmp_path: Path) -> None:
    model = tmp_path / "repeated.yaml"
    model.write_text(
        "inputs: {volume: [4, 4, 4, 2]}\n"
        "layers:\n"
        "  - repeat: 25\n"
        "    layers:\n"
        "      - MaxPooling3D: {pool_size: 2, strides: 1, padding: same}\n"
        "  - GlobalMaxPooling3D\n"
    )
    done = _graphcnn("compile", model, "-o", tmp_path / "m.onnx")
    assert done.returncode == 2
    assert done.stderr.count("repeated.yaml:5:9: ") == 1
    assert done.stderr.count("repeated.yaml:6:5: global_max_pooling3d") == 1
