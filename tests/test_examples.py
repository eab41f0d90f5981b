"""Every example: its published parameter totals, its shapes layer by layer, and how it runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

import graphcnn
from graphcnn.export.writer import SizeLimit
from graphcnn.report.summary import summary_json, summary_markdown

EXAMPLES = Path(__file__).parents[1] / "examples"

PARAMETERS = {
    "alexnet": 62_378_344,
    "cifar10_batchnorm": 548_074,
    "cifar10_cnn": 1_337_002,
    "cifar10_mobilenet": 1_069_450,
    "convolution_by_hand": 10,
    "edge_kernel": 2,
    "fashion_mnist_batchnorm": 193_194,
    "fashion_mnist_cnn": 243_786,
    "googlenet": 6_998_552,
    "lenet": 61_706,
    "mnist_batchnorm": 87_594,
    "mnist_cnn": 421_642,
    "mnist_cnn_5x5": 3_274_634,
    "small_convnet": 93_322,
    "small_convnet_no_pool": 55_744,
    "vgg16": 138_357_544,
    "zfnet": 107_627_624,
}

BY_HAND = "6 5 -2 1 2 / 3 0 3 2 -2 / 4 2 -1 0 0 / 2 1 2 -1 -3 / 1 1 1 3 1"
IMAGE = "0000000 0101210 0022010 0110210 0021100 0211200 0000000"


def load(name: str) -> graphcnn.Graph:
    return graphcnn.load(EXAMPLES / f"{name}.yaml")


def test_all_examples_are_listed() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.yaml")} == PARAMETERS.keys()


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_the_published_ones(name: str) -> None:
    assert graphcnn.summarize(load(name)).total_params == PARAMETERS[name]


@pytest.mark.parametrize("name", PARAMETERS)
def test_layers_match_golden(name: str, golden) -> None:  # type: ignore[no-untyped-def]
    golden(f"examples/{name}.md", summary_markdown(graphcnn.summarize(load(name))))


def test_small_convnet_shapes() -> None:
    graph = load("small_convnet")
    heights = [graph.type(node.name).sizes[0] for node in graph if graph.type(node.name).rank == 4]
    assert heights == [28, 28, 26, 13, 11, 5, 3]
    assert graph.type("flatten").sizes == (576,)
    before_flatten = [spec for name, spec in graph.weights.items() if name.startswith("conv")]
    assert sum(spec.elements for spec in before_flatten) == 55_744


def test_small_convnet_no_pool_shape() -> None:
    graph = load("small_convnet_no_pool")
    assert graph.type("features").sizes == (22, 22, 64)


def test_googlenet_has_nine_inceptions_from_one_block() -> None:
    graph = load("googlenet")
    joined = [node for node in graph if node.op.title == "Concatenate"]
    assert len(joined) == 9
    assert len({node.location.line for node in joined if node.location}) == 1
    assert "inception_3a/5x5" in graph
    assert graph.type("inception_5b/concat").sizes == (7, 7, 1024)


def test_vgg16_receptive_field_is_the_published_one() -> None:
    layers = {
        layer["name"]: layer for layer in summary_json(graphcnn.summarize(load("vgg16")))["layers"]
    }
    assert layers["block5/pool"]["receptive_field"]["size"] == [212, 212]


@pytest.mark.parametrize("name", [n for n in PARAMETERS if PARAMETERS[n] < 10_000_000])
def test_compiles_and_runs(name: str, tmp_path: Path) -> None:
    graph = load(name)
    report = graphcnn.compile(graph, tmp_path / "model.onnx")
    assert "run by onnxruntime" in report.verified
    model = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    kinds = {node.op_type for node in model.graph.node}
    assert not kinds & {"Shape", "Gather", "Cast", "Transpose", "Identity", "Dropout"}
    session = ort.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    feed = np.random.default_rng(0).random((2, *given.shape[1:]), np.float32)
    (found,) = session.run(None, {given.name: feed})
    assert np.isfinite(found).all()


def test_convolution_by_hand_prints_the_numbers(tmp_path: Path) -> None:
    model, image = tmp_path / "hand.onnx", tmp_path / "image.npy"
    np.save(image, np.array([list(map(int, row)) for row in IMAGE.split()], np.float32))
    graphcnn.compile(load("convolution_by_hand"), model)
    command = [sys.executable, "-m", "graphcnn", "run", str(model), str(image)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [" ".join(line.split()) for line in printed.splitlines()]
    for expected in BY_HAND.split(" / "):
        assert expected in rows


def test_vgg16_fits_into_one_file() -> None:
    graph = load("vgg16")
    sizes = {name: spec.bytes for name, spec in graph.weights.items()}
    assert max(sizes.values()) == 25088 * 4096 * 4
    assert sum(sizes.values()) < SizeLimit


def test_custom_operator_example_runs() -> None:
    command = [sys.executable, str(EXAMPLES / "custom_operator.py")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "scaled_tanh = ScaledTanh(conv2d, slope=0.5)" in printed
    assert "drop-unit-scaling: rescaling: removed" in printed
    assert "run by onnxruntime" in printed


def test_infer_shapes_json_keys() -> None:
    command = [
        sys.executable,
        "-m",
        "graphcnn",
        "infer-shapes",
        str(EXAMPLES / "lenet.yaml"),
        "--json",
    ]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert found.keys() >= {
        "name",
        "layers",
        "total_params",
        "trainable_params",
        "non_trainable_params",
        "macs",
        "peak_activation_bytes",
    }
    assert found["layers"][0].keys() >= {
        "name",
        "op",
        "inputs",
        "output_shape",
        "params",
        "trainable_params",
        "macs",
        "activation_bytes",
        "receptive_field",
        "source",
    }
    assert found["layers"][0]["output_shape"] == [None, 28, 28, 1]
