"""`graphcnn.compile` with int8: what is written, what is reported, and what is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import graphcnn
from graphcnn.errors import DataError, ExportError, GraphCNNError, GraphError, OptionError
from graphcnn.graph import Graph
from graphcnn.ops import Concatenate, Conv2D
from graphcnn.quantization import BudgetExceeded, Limit, Quantization, quantize
from graphcnn.runtime.predict import Predictor
from tests.random_values import random_arrays

from .networks import compiled, decibels, network, operators, samples, saved, weights

LAYERS = """
  - Conv2D: {filters: 8, kernel_size: 3, padding: same, activation: relu, name: c1}
  - Conv2D: {filters: 8, kernel_size: 3, padding: same, name: c2}
  - BatchNormalization: {name: bn2}
  - ReLU: {name: r2}
  - Conv2D: {filters: 4, kernel_size: 3, name: c3}
  - Flatten: {name: flat}
  - Dense: {units: 3, activation: softmax, name: scores}
"""
NODES = {"c1/conv", "bn2", "c3", "scores/gemm"}


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    return network(tmp_path / "model.yaml", LAYERS)


def labelled(graph: Graph, folder: Path, count: int = 100) -> str:
    """Samples whose labels are what the network says of them, for most."""
    path = folder / "labelling.onnx"
    graphcnn.compile(graph, path, weights=weights(graph))
    x = samples(count)
    y = Predictor(path).predict(x).argmax(axis=1)
    y[::10] = (y[::10] + 1) % 3
    np.savez(folder / "data.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    return str(folder / "data.npz")


def test_a_file_in_integers(graph: Graph, tmp_path: Path) -> None:
    data, stages = labelled(graph, tmp_path), list[tuple[str, int, int]]()
    path = tmp_path / "int8.onnx"
    found = compiled(graph, path, samples(), data=data, limit=Limit("accuracy", 0.5),
                     samples=30, stages=lambda *tick: stages.append(tick))  # fmt: skip
    report = found.quantization
    assert report is not None
    assert found.quality is report.quality
    assert report.quality.original.accuracy == 0.9
    assert report.quality.holds
    assert (report.calibrated, report.quality.held_out, report.layers) == (30, 100, 4)
    assert report.best.floats == ()
    assert report.damages == ()
    assert len(report.attempts) == 1
    assert found.nodes == len(onnx.load(path).graph.node)
    assert found.bytes == path.stat().st_size
    assert [stage for stage, done, total in stages if done == total] == [
        "measuring float32", "calibrating", "measuring int8"
    ]  # fmt: skip
    said = {item.key: item.value for item in onnx.load(path).metadata_props}
    assert said["graphcnn.precision"] == "int8"
    facts = json.loads(said["graphcnn.quantization"], parse_constant=pytest.fail)
    assert facts["calibration"] == "minmax, 30 samples"
    assert facts["float_layers"] == []
    assert facts["accuracy"] == report.quality.quality.accuracy
    assert {"graphcnn.version", "graphcnn.weights", "graphcnn.input_layouts"} <= said.keys()
    assert onnx.load(path).producer_name.startswith("graphcnn")
    measured = decibels(
        Predictor(tmp_path / "labelling.onnx").predict(samples(100)),
        Predictor(path).predict(samples(100)),
    )
    assert measured == pytest.approx(report.quality.quality.snr, abs=1e-3)


def test_the_ranking_is_measured_when_asked_for(graph: Graph, tmp_path: Path) -> None:
    report = compiled(graph, tmp_path / "int8.onnx", samples(), rank=True).quantization
    assert report is not None
    assert {damage.layer.node for damage in report.damages} == NODES
    snr = [damage.snr for damage in report.damages]
    assert snr == sorted(snr)
    assert report.quality.quality.snr < max(snr)
    assert report.damage_samples == 24


def test_one_ruinous_layer_goes_back_to_float(tmp_path: Path) -> None:
    """One of its channels is a thousand times the others, which alone decide the output."""
    layers = """
  - Conv2D: {filters: 8, kernel_size: 3, padding: same, activation: relu, name: c1}
  - Conv2D: {filters: 8, kernel_size: 3, padding: same, activation: relu, name: c2}
  - Conv2D: {filters: 8, kernel_size: 3, padding: same, name: ruinous}
  - Softmax: {name: act}
"""
    graph = network(tmp_path / "model.yaml", layers)
    arrays = random_arrays(graph)
    arrays["ruinous/bias"] = np.zeros(8, np.float32)
    arrays["ruinous/bias"][0] = -1000
    store = graphcnn.WeightStore.from_arrays(arrays)
    path = tmp_path / "int8.onnx"
    found = compiled(graph, path, samples(), weights=store, limit=Limit("snr", 30))
    report = found.quantization
    assert report is not None
    assert [layer.name for layer in report.best.floats] == ["ruinous"]
    assert report.best.floats[0].place == "model.yaml:6:5"
    assert report.damages[0].layer.name == "ruinous"
    assert report.damages[0].snr < 20 < report.damages[1].snr
    assert report.quality.holds
    assert report.attempts[0].quality.snr < 20
    assert [len(attempt.floats) for attempt in report.attempts] == [0, 1]
    said = {item.key: item.value for item in onnx.load(path).metadata_props}
    assert json.loads(said["graphcnn.quantization"])["float_layers"] == ["ruinous"]
    found_ops = optimized(path)
    assert found_ops.count("QLinearConv") == 2
    assert "Conv" in found_ops


def optimized(path: Path) -> list[str]:
    """What onnxruntime computes."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(path.with_suffix(".optimized"))
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return operators(onnx.load(path.with_suffix(".optimized")))


def test_a_budget_that_cannot_hold(graph: Graph, tmp_path: Path) -> None:
    x = samples()
    saved(tmp_path, x)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(BudgetExceeded) as error:
        compiled(graph, tmp_path / "int8.onnx", x, limit=Limit("snr", 300))
    assert error.value.exit_code == 1
    text = str(error.value)
    assert "at least 300 dB, and the best of 3 files, with 3 of 4 layers in float, is" in text
    assert "model.yaml:" in text
    assert "alone: " in text
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_that_is_there_is_kept(graph: Graph, tmp_path: Path) -> None:
    path = tmp_path / "int8.onnx"
    path.write_text("mine")
    with pytest.raises(BudgetExceeded):
        compiled(graph, path, samples(), limit=Limit("snr", 300), force=True)
    assert path.read_text() == "mine"


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize(
    "stage", ["calibrating", "measuring float32", "measuring int8", "each layer alone"]
)
def test_an_interrupt_leaves_nothing(
    stage: str, stop: type[BaseException], graph: Graph, tmp_path: Path
) -> None:
    x = samples()
    saved(tmp_path, x)
    before = sorted(tmp_path.iterdir())

    def interrupt(now: str, done: int, total: int) -> None:
        if now == stage:
            raise stop

    with pytest.raises(stop):
        compiled(graph, tmp_path / "int8.onnx", x, rank=True, stages=interrupt)
    assert sorted(tmp_path.iterdir()) == before


def test_a_signal_leaves_nothing(graph: Graph, tmp_path: Path) -> None:
    """SIGTERM to the command, sent by itself once it has begun to measure."""
    saved(tmp_path, samples())
    before = sorted(tmp_path.iterdir())
    code = """
import os, signal, sys
from graphcnn.quantization import calibration
from graphcnn.cli.main import main
collect = calibration._collect
def interrupted(*arguments):
    collect(*arguments)
    os.kill(os.getpid(), signal.SIGTERM)
calibration._collect = interrupted
sys.argv = ["graphcnn", "compile", "model.yaml", "--precision", "int8", "--data", "data.npy"]
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 128 + signal.SIGTERM, done.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_the_same_bytes(graph: Graph, tmp_path: Path) -> None:
    x = samples()
    for name in ("a", "b"):
        compiled(graph, tmp_path / f"{name}.onnx", x, seed=0)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    digests = set()
    for seed in ("1", "2"):
        arguments = ["compile", "model.yaml", "--precision", "int8", "--data", "data.npy"]
        subprocess.run(
            [sys.executable, "-m", "graphcnn", *arguments, "--force", "-o", "c.onnx"],
            cwd=tmp_path, check=True, timeout=120, capture_output=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )  # fmt: skip
        digests.add((tmp_path / "c.onnx").read_bytes())
    assert len(digests) == 1


@pytest.mark.parametrize("name", ["c2", "bn2"])
def test_layers_are_kept_by_any_of_their_names(name: str, graph: Graph, tmp_path: Path) -> None:
    path = tmp_path / "int8.onnx"
    report = compiled(graph, path, samples(), floats=(name,)).quantization
    assert report is not None
    assert [layer.node for layer in report.asked] == ["bn2"]
    assert report.layers == 4
    found = optimized(path)
    assert found.count("QLinearConv") == 2


@pytest.mark.parametrize("name", ["c4", "r2", ""])
def test_a_layer_that_cannot_be_kept(name: str, graph: Graph, tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=f"no layer named '{name}' can be in integers"):
        compiled(graph, tmp_path / "int8.onnx", samples(), floats=("c1", name))
    assert not (tmp_path / "int8.onnx").exists()


@pytest.mark.parametrize(
    ("layers", "floats"),
    [("  - ReLU\n  - MaxPooling2D: {pool_size: 2}\n", ()),
     ("  - Conv2D: {filters: 2, kernel_size: 3, name: c}\n", ("c",))],
)  # fmt: skip
def test_nothing_to_put_into_integers(layers: str, floats: tuple[str, ...], tmp_path: Path) -> None:
    graph = network(tmp_path / "model.yaml", layers)
    with pytest.raises(GraphError, match="no layer of the model that has weights"):
        compiled(graph, tmp_path / "int8.onnx", samples(), floats=floats)


@pytest.mark.parametrize(
    "options",
    [{"taps": ["all"]}, {"input_layout": "nhwc"}, {"batch": 4}, {"opset": 13}, {"opset": 21},
     {"method": "percentile"}, {"disable": "all"}],
    ids=str,
)  # fmt: skip
def test_other_files(options: dict[str, Any], graph: Graph, tmp_path: Path) -> None:
    path, x = tmp_path / "int8.onnx", samples(50)
    report = compiled(graph, path, x, **options)
    assert report.quality is not None
    assert report.quality.quality.snr > 20
    model = onnx.load(path)
    assert model.opset_import[0].version == options.get("opset", 17)
    if "taps" in options:
        assert {"scores", "c1", "r2", "c3", "flat"} <= {v.name for v in model.graph.output}
    else:
        assert optimized(path).count("QLinearConv") == 3


def test_open_sizes(tmp_path: Path) -> None:
    layers = "  - Conv2D: {filters: 8, kernel_size: 3, activation: relu}\n" * 2
    rest = "  - GlobalAveragePooling2D\n  - Dense: {units: 3}\n"
    graph = network(tmp_path / "model.yaml", layers + rest, "[H, W, 3]")
    report = compiled(graph, tmp_path / "int8.onnx", samples(20, 12, 9, 3))
    assert report.quality is not None
    assert report.quality.quality.snr > 20
    assert optimized(tmp_path / "int8.onnx").count("QLinearConv") == 2
    found = Predictor(tmp_path / "int8.onnx").predict(samples(5, 7, 8, 3))
    assert found.shape == (5, 3)


def test_several_inputs(tmp_path: Path) -> None:
    graph = Graph("two")
    both = [graph.input(name, (8, 8, 3)) for name in ("left", "right")]
    x = graph.add(Concatenate(), both)
    graph.outputs["y"] = graph.add(Conv2D(filters=2, kernel_size=3), x, name="y")
    with pytest.raises(GraphCNNError, match="this has 2: left, right"):
        compiled(graph, tmp_path / "int8.onnx", samples())
    assert not (tmp_path / "int8.onnx").exists()


def test_labels_are_needed_for_a_budget_of_accuracy(graph: Graph, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no labels to tell the accuracy by") as error:
        compiled(graph, tmp_path / "int8.onnx", samples(), limit=Limit("accuracy", 0.1))
    assert error.value.hint == "--budget snr=30"


def test_precisions_and_data(graph: Graph, tmp_path: Path) -> None:
    path, how = tmp_path / "model.onnx", Quantization(data=saved(tmp_path, samples()))
    with pytest.raises(ExportError, match="int8 needs data"):
        graphcnn.compile(graph, path, precision="int8")
    with pytest.raises(ExportError, match="fp32 loses nothing"):
        graphcnn.compile(graph, path, quantization=how)
    with pytest.raises(ExportError, match="int8 files hold their weights"):
        graphcnn.compile(graph, path, precision="int8", quantization=how, external_data="always")
    with pytest.raises(ExportError, match="precision: expected one of"):
        graphcnn.compile(graph, path, precision="int4", quantization=how)  # type: ignore[arg-type]
    assert not path.exists()


@pytest.mark.parametrize("precision", ["fp16", "fp16-body"])
def test_half_precision_is_measured(precision: Any, graph: Graph, tmp_path: Path) -> None:
    path, data = tmp_path / "half.onnx", saved(tmp_path, samples())
    how = Quantization(data=data, limit=Limit("snr", 30))
    report = graphcnn.compile(
        graph, path, weights=weights(graph), precision=precision, quantization=how
    )
    assert report.quantization is None
    assert report.quality is not None
    assert 30 < report.quality.quality.snr < 150
    tight = Quantization(data=data, limit=Limit("snr", 200))
    before = path.read_bytes()
    with pytest.raises(BudgetExceeded, match="and the file is"):
        graphcnn.compile(
            graph, path, weights=weights(graph), precision=precision, quantization=tight, force=True
        )
    assert path.read_bytes() == before
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_a_file_in_place(graph: Graph, tmp_path: Path) -> None:
    path, x = tmp_path / "model.onnx", samples()
    graphcnn.compile(graph, path, weights=weights(graph))
    before = path.read_bytes()
    data = saved(tmp_path, x)
    with pytest.raises(BudgetExceeded):
        quantize(path, Quantization(data=data, limit=Limit("snr", 300)))
    assert path.read_bytes() == before
    quantize(path, Quantization(data=data))
    assert "QuantizeLinear" in operators(onnx.load(path))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data.npy", "model.onnx", "model.yaml"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [({"method": "mean"}, "method: expected one of"), ({"samples": 0}, "expected at least 1")],
)  # fmt: skip
def test_wrong_options(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(OptionError, match=problem):
        Quantization(data="data.npy", **options)


def test_outputs_that_overflow_are_refused(graph: Graph, tmp_path: Path) -> None:
    x = samples()
    x[:, 0, 0, 0] = np.nan
    with pytest.raises(GraphCNNError, match="not finite"):
        compiled(graph, tmp_path / "int8.onnx", x)
    assert not (tmp_path / "int8.onnx").exists()
