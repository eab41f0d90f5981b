"""Half precision: what is stored, what is computed in, and how far the numbers move."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, numpy_helper

import graphcnn
from graphcnn import Graph, WeightStore
from graphcnn.cli.main import cli
from graphcnn.errors import ExportError, WeightError
from graphcnn.onnx_file import find_nodes, read_onnx_file
from graphcnn.ops import (
    Clip,
    Dense,
    Flatten,
    GlobalAveragePooling2D,
    LayerScale,
    Op,
    RMSNormalization,
    UnitNormalization,
)
from graphcnn.quantization.precision import Precision
from graphcnn.types import DType
from tests.onnx_checks import Arrays, run
from tests.ops.samples import VALID, Sample, single
from tests.random_values import random_arrays, random_feeds

EXAMPLES = Path(__file__).parents[1] / "examples"
HALVES: tuple[Precision, ...] = ("fp16", "fp16-body")
MODEL = """
inputs: {image: [8, 8, 3]}
layers:
  - Conv2D: {filters: 4, kernel_size: 3, name: conv}
  - BatchNormalization: {name: norm}
  - ReLU: {name: act}
  - Flatten: {name: flat}
  - Dense: {units: 5, activation: softmax, name: scores}
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.yaml"
    path.write_text(MODEL)
    return path


def compiled(
    graph: Graph,
    path: Path,
    precision: Precision,
    arrays: Arrays | None = None,
    layout: Literal["nchw", "nhwc"] = "nchw",
) -> onnx.ModelProto:
    """The file, which onnxruntime has run."""
    report = graphcnn.compile(
        graph,
        path,
        weights=None if arrays is None else WeightStore.from_arrays(arrays),
        precision=precision,
        input_layout=layout,
        force=True,
    )
    assert "run by onnxruntime" in report.verified
    return onnx.load(path)


def moved(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference, as a share of the largest number."""
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    scale = max(float(np.abs(expected).max()), 1e-3)
    return float(np.abs(found - expected).max()) / scale


@pytest.mark.parametrize("precision", HALVES)
def test_a_real_network(precision: Precision, tmp_path: Path) -> None:
    graph = graphcnn.load(EXAMPLES / "cifar10_batchnorm.yaml")
    arrays, feeds = random_arrays(graph), random_feeds(graph)
    compiled(graph, tmp_path / "full.onnx", "fp32", arrays)
    expected = run(tmp_path / "full.onnx", feeds)["scores"]
    for layout in ("nchw", "nhwc"):
        half = tmp_path / f"{layout}.onnx"
        compiled(graph, half, precision, arrays, layout)
        for optimize in (True, False):
            found = run(half, feeds, layout == "nchw", optimize)["scores"]
            assert 0 < moved(found, expected) < 1e-2
        ratio = half.stat().st_size / (tmp_path / "full.onnx").stat().st_size
        assert ratio < 0.51
    graphcnn.compile(graph, tmp_path / "again.onnx", weights=WeightStore.from_arrays(arrays),
                     precision=precision, input_layout="nhwc")  # fmt: skip
    assert (tmp_path / "again.onnx").read_bytes() == half.read_bytes()


@pytest.mark.parametrize("precision", HALVES)
def test_every_operator(precision: Precision, tmp_path: Path) -> None:
    wrong = [found for sample in VALID if (found := _wrong(sample, precision, tmp_path))]
    assert not wrong


def _wrong(sample: Sample, precision: Precision, folder: Path) -> str:
    """How a sample is wrong in half precision, or nothing."""
    graph = sample.graph
    arrays, feeds = random_arrays(graph), random_feeds(graph)
    if sample.positive:
        feeds = {name: np.abs(feed) + np.float32(0.1) for name, feed in feeds.items()}
    store = WeightStore.from_arrays(arrays)
    results = []
    for each in ("fp32", precision):
        path = folder / f"{each}.onnx"
        graphcnn.compile(graph, path, weights=store, precision=each, force=True, verify=False,
                         target="onnxruntime")  # fmt: skip
        results.append(run(path, feeds, optimize=False)["y"])
    distance = moved(results[1], results[0])
    return "" if distance < 5e-3 else f"{sample.op}: {distance:.1e}"


def test_weights_are_stored_in_half_and_cast_once(model: Path, tmp_path: Path) -> None:
    graph = graphcnn.load(model)
    proto = compiled(graph, tmp_path / "m.onnx", "fp16")
    held = {tensor.name: tensor.data_type for tensor in proto.graph.initializer}
    assert set(held.values()) == {TensorProto.FLOAT16}
    casts = [node for node in proto.graph.node if node.op_type == "Cast"]
    assert sorted(node.input[0] for node in casts) == sorted(held)
    assert [node.name for node in casts if "scores" in node.name] == [
        "scores/cast",
        "scores/cast_2",
    ]
    assert all("model.yaml:" in node.doc_string for node in casts)
    assert {value.type.tensor_type.elem_type for value in proto.graph.input} == {TensorProto.FLOAT}
    assert {item.key: item.value for item in proto.metadata_props}["graphcnn.precision"] == "fp16"


def test_a_full_precision_file_does_not_state_it(model: Path, tmp_path: Path) -> None:
    proto = compiled(graphcnn.load(model), tmp_path / "m.onnx", "fp32")
    assert "graphcnn.precision" not in {item.key for item in proto.metadata_props}


def test_the_body_is_in_half_and_its_ends_are_not(model: Path, tmp_path: Path) -> None:
    graph = graphcnn.load(model)
    path = tmp_path / "m.onnx"
    graphcnn.compile(graph, path, precision="fp16-body", taps=["act", "scores"])
    file = read_onnx_file(path)
    ends = [str(value) for value in (*file.inputs, *file.outputs)]
    assert ends == ["float32[N, 3, 8, 8]", "float32[N, 5]", "float32[N, 4, 6, 6]"]
    kinds = {node.op: node.outputs[0].dtype for node in file.nodes}
    assert {op for op, dtype in kinds.items() if dtype == "float32"} == {"Cast"}
    casts = [(n.name, n.inputs[0], n.layers) for n in file.nodes if n.op == "Cast"]
    assert casts == [
        ("image/cast", "image", ("image",)),
        ("scores", "scores/float16", ("scores",)),
        ("act", "act/float16", ("act",)),
    ]
    graphcnn.compile(graph, tmp_path / "f.onnx", taps=["act", "scores"])
    feeds = random_feeds(graph)
    found, expected = run(path, feeds), run(tmp_path / "f.onnx", feeds)
    assert all(moved(found[name], expected[name]) < 5e-3 for name in expected)


def test_inputs_that_are_no_float32_keep_their_type(tmp_path: Path) -> None:
    graph = Graph("mixed")
    pixels = graph.input("pixels", (2, 3), DType.uint8)
    x = graph.input("x", (4,))
    graph.outputs["flat"] = graph.add(Flatten(), pixels, name="flat")
    graph.outputs["y"] = graph.add(Dense(units=3), x, name="y")
    graph.outputs["same"] = x
    proto = compiled(graph, tmp_path / "m.onnx", "fp16-body")
    types = {value.name: value.type.tensor_type.elem_type for value in proto.graph.output}
    assert types == {
        "flat": TensorProto.UINT8,
        "y": TensorProto.FLOAT,
        "same": TensorProto.FLOAT,
    }


@pytest.mark.parametrize("precision", HALVES)
def test_a_shared_weight_is_stored_and_cast_once(precision: Precision, tmp_path: Path) -> None:
    graph = Graph("shared")
    x = graph.input("x", (4,))
    a = graph.add(Dense(units=4), x, name="a")
    weights = {"kernel": "a/kernel", "bias": "a/bias"}
    b = graph.add(Dense(units=4), a, name="b", weights=weights)
    # The first is computed in float32 in either precision, the second is not.
    c = graph.add(RMSNormalization(), b, name="c")
    scale = LayerScale(init_values=1.0, projection_dim=4)
    graph.outputs["d"] = graph.add(scale, c, name="d", weights={"gamma": "c/scale"})
    arrays, feeds = random_arrays(graph), random_feeds(graph)
    proto = compiled(graph, tmp_path / "h.onnx", precision, arrays)
    held = [t.name for t in proto.graph.initializer if t.data_type == TensorProto.FLOAT16]
    assert sorted(held) == ["a/bias", "a/kernel", "c/scale"]
    casts = [n.input[0] for n in proto.graph.node if n.op_type == "Cast" and n.input[0] in held]
    assert sorted(casts) == (sorted(held) if precision == "fp16" else ["c/scale"])
    compiled(graph, tmp_path / "f.onnx", "fp32", arrays)
    full = run(tmp_path / "f.onnx", feeds)["d"]
    assert moved(run(tmp_path / "h.onnx", feeds)["d"], full) < 5e-3


@pytest.mark.parametrize("precision", HALVES)
def test_external_data(precision: Precision, tmp_path: Path) -> None:
    graph = single(Dense(units=64), (64,))
    feeds = random_feeds(graph)
    compiled(graph, tmp_path / "one.onnx", precision)
    path = tmp_path / "apart.onnx"
    graphcnn.compile(graph, path, precision=precision, external_data="always")
    assert (tmp_path / "apart.onnx.data").stat().st_size == 64 * 64 * 2
    np.testing.assert_array_equal(run(path, feeds)["y"], run(tmp_path / "one.onnx", feeds)["y"])


@pytest.mark.parametrize("precision", HALVES)
@pytest.mark.parametrize("value", [65520.0, -1e6])
def test_a_weight_too_large_is_refused(
    precision: Precision, value: float, model: Path, tmp_path: Path
) -> None:
    graph = graphcnn.load(model)
    arrays = random_arrays(graph)
    arrays["scores/kernel"][3, 2] = value
    with pytest.raises(WeightError) as caught:
        compiled(graph, tmp_path / "m.onnx", precision, arrays)
    text = str(caught.value)
    assert "weight scores/kernel holds" in text
    assert f"{value:,g}" in text
    assert "65,504" in text
    assert "model.yaml:8" in text
    assert "--precision fp32" in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.yaml"]


def test_the_smallest_numbers_are_kept(tmp_path: Path) -> None:
    graph = single(Dense(units=4, use_bias=False), (1,))
    kernel = np.array([[2**-24, 3e-5, 65519.0, 2**-26]], np.float32)
    proto = compiled(graph, tmp_path / "m.onnx", "fp16", {"y/kernel": kernel})
    (held,) = (numpy_helper.to_array(tensor) for tensor in proto.graph.initializer)
    np.testing.assert_array_equal(held.ravel(), kernel.ravel().astype(np.float16))
    assert (held.ravel() != 0).tolist() == [True, True, True, False]


@pytest.mark.parametrize("optimize", [True, False])
@pytest.mark.parametrize(
    ("op", "sizes", "value"),
    [
        (RMSNormalization(), (6,), 3000.0),
        (UnitNormalization(), (6,), 30000.0),
        (UnitNormalization(), (6,), 0.0),
        (GlobalAveragePooling2D(), (40, 40, 2), 255.0),
    ],
)
def test_what_sums_much_is_computed_in_float32(
    op: Op, sizes: tuple[int, ...], value: float, optimize: bool, tmp_path: Path
) -> None:
    graph = single(op, *[sizes])
    feeds = {"x0": np.full((2, *sizes), value, np.float32)}
    compiled(graph, tmp_path / "f.onnx", "fp32")
    compiled(graph, tmp_path / "h.onnx", "fp16-body")
    expected = run(tmp_path / "f.onnx", feeds)["y"]
    assert moved(run(tmp_path / "h.onnx", feeds, optimize=optimize)["y"], expected) < 2e-3
    file = read_onnx_file(tmp_path / "h.onnx")
    assert {n.outputs[0].dtype for n in file.nodes if n.op != "Cast"} == {"float32"}


def test_fixed_numbers_that_half_cannot_hold(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    with pytest.raises(ExportError, match=r"1e\+06, and float16") as caught:
        graphcnn.compile(single(Clip(max_value=1e6), (3,)), path, precision="fp16-body")
    assert "y (Clip)" in str(caught.value)
    assert not path.exists()
    proto = compiled(single(Clip(min_value=1e-12), (3,)), path, "fp16-body")
    (bound,) = (numpy_helper.to_array(tensor) for tensor in proto.graph.initializer)
    assert bound == np.float16(2**-24)


def test_a_precision_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="precision: expected one of"):
        graphcnn.compile(single(Flatten(), (3,)), tmp_path / "m.onnx", precision="fp8")  # type: ignore[arg-type]


@pytest.mark.parametrize("precision", HALVES)
def test_the_command_and_what_reads_its_file(
    precision: Precision, model: Path, tmp_path: Path
) -> None:
    weights, full, half = tmp_path / "w.safetensors", tmp_path / "f.onnx", tmp_path / "h.onnx"
    WeightStore.from_arrays(random_arrays(graphcnn.load(model))).save(weights)

    def command(*arguments: object) -> str:
        result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
        assert result.exit_code == 0, result.output
        return result.stdout

    command("compile", model, "--weights", weights, "-o", full)
    options = ("--precision", precision, "--validate", "-o", half)
    command("compile", model, "--weights", weights, *options)
    assert precision in command("inspect", half)
    seen = [json.loads(command("inspect", path, "--json")) for path in (full, half)]
    assert seen[0]["params"] == seen[1]["params"]
    assert seen[0]["macs"] == seen[1]["macs"]

    report = json.loads(
        command("verify", model, half, "--weights", weights, "--per-layer", "--json")
    )
    assert report["equal"]
    assert report["rtol"] > 1e-3
    assert precision in report["b"]["engine"]
    assert {layer["a"] for layer in report["layers"]} == {"norm", "act", "flat", "scores"}
    strict = ["verify", str(model), str(half), "--weights", str(weights), "--rtol", "1e-6"]
    assert CliRunner().invoke(cli, [*strict, "--atol", "0"]).exit_code == 1


def test_a_cast_weight_counts_where_it_is_used(model: Path, tmp_path: Path) -> None:
    compiled(graphcnn.load(model), tmp_path / "f.onnx", "fp32")
    compiled(graphcnn.load(model), tmp_path / "h.onnx", "fp16")
    full, half = (read_onnx_file(tmp_path / name) for name in ("f.onnx", "h.onnx"))
    plain = [node for node in half.nodes if node.op != "Cast"]
    figures = [
        [(n.name, n.inputs, n.params, n.macs) for n in nodes] for nodes in (full.nodes, plain)
    ]
    assert figures[0] == figures[1]
    assert {(n.params, n.weight_bytes) for n in half.nodes if n.op == "Cast"} == {(0, 0)}
    assert half.params == full.params
    found = find_nodes(half, "scores/kernel").nodes
    assert [node.op for node in found] == ["Cast", "Gemm"]
