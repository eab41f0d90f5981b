"""Kernels of a canned profile, added up by the layers of a file, and set against a machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import graphcnn
from graphcnn.bench.layers import Layer, LayerReport, attribute, bounded, measure_layers
from graphcnn.bench.machine import Roof
from graphcnn.bench.profile import Kernel, Profile, read_profile
from graphcnn.errors import RuntimeFailure
from graphcnn.onnx_file import OnnxFile, read_onnx_file
from graphcnn.runtime.settings import Settings

from .models import write_network

ROOF = Roof(float32=100e9, int8=400e9, bandwidth=10e9)

MODEL = """
inputs: {image: [8, 8, 3]}
layers:
- Conv2D: {filters: 4, kernel_size: 3, padding: same, name: conv}
- BatchNormalization: {name: norm}
- ReLU: {name: relu}
- GlobalAveragePooling2D: {name: pool}
- Dense: {units: 5, name: scores, activation: softmax}
"""


def event(name: str, op: str, micros: int, index: int, **facts: Any) -> dict[str, Any]:
    args = {
        "op_name": op,
        "node_index": str(index),
        "activation_size": "100",
        "output_size": "50",
        "parameter_size": "7",
        "input_type_shape": [{"float": [1, 3, 8, 8]}],
    }
    return {
        "cat": "Node",
        "name": f"{name}_kernel_time",
        "dur": micros,
        "args": args | facts,
    }


def whole(micros: int) -> dict[str, Any]:
    return {"cat": "Session", "name": "model_run", "dur": micros, "args": {}}


def kernel(name: str, op: str, seconds: float, dtype: str = "float32", *outputs: str) -> Kernel:
    return Kernel(name, op, seconds, 1000, dtype, outputs)


def rows(file: OnnxFile, *kernels: Kernel, batch: int = 1) -> dict[str, Layer]:
    found = attribute(file, Profile(batch, 5, 1.0, kernels))
    assert sum(row.seconds for row in found) == pytest.approx(sum(k.seconds for k in kernels))
    return {row.name: row for row in found}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> OnnxFile:
    return read_onnx_file(write_network(tmp_path_factory.mktemp("bench") / "network.onnx"))


class TestProfile:
    def test_medians_without_the_first_runs(self) -> None:
        times = [(900, 800), (90, 80), (10, 4), (30, 5), (20, 90)]
        events: list[Mapping[str, Any]] = [whole(1) | {"name": "session_initialization"}]
        for first, second in times:
            events += [event("conv", "Conv", first, 3), event("gemm", "Gemm", second, 1)]
            events += [event("conv", "Conv", 0, 3) | {"name": "conv_fence_before"}]
            events += [whole(first + second + 5)]
        found = read_profile(events, 2, ())
        assert (found.batch, found.runs) == (2, 3)
        assert found.seconds == pytest.approx(40e-6)
        assert [(k.name, k.op) for k in found.kernels] == [("conv", "Conv"), ("gemm", "Gemm")]
        assert [k.seconds for k in found.kernels] == pytest.approx([20e-6, 5e-6])
        assert [k.bytes for k in found.kernels] == [157, 157]
        assert found.kernels[0].dtype == "float32"
        fastest = read_profile(events, 2, (), min)
        assert [k.seconds for k in fastest.kernels] == pytest.approx([10e-6, 4e-6])

    def test_weights_of_the_graph_that_ran(self, network: OnnxFile) -> None:
        events = [
            one
            for _ in range(3)
            for one in (
                event("conv/conv", "Conv", 9, 0),
                event("flatten", "Flatten", 1, 1),
                whole(9),
            )
        ]
        conv, flatten = read_profile(events, 1, network.nodes).kernels
        assert conv.bytes == 150 + 4 * (4 * 3 * 9 + 4)
        assert conv.outputs == ("conv/conv",)
        assert flatten.bytes == 0

    def test_nodes_of_one_name(self) -> None:
        run = [event("Transpose", "Transpose", 3, 1), event("Transpose", "Transpose", 5, 2)]
        found = read_profile([*run, whole(8)] * 3, 1, ())
        assert [k.seconds for k in found.kernels] == pytest.approx([3e-6, 5e-6])


class TestLayers:
    def test_what_onnxruntime_fuses(self, network: OnnxFile) -> None:
        found = rows(
            network,
            kernel("conv_nchwc", "Conv", 0.5),
            kernel("pool_nchwc", "GlobalAveragePool", 0.25, "float32", "reorder_token_1"),
            kernel("ReorderOutput", "ReorderOutput", 0.125, "float32", "pool"),
            kernel("ReorderOutput_token_3", "ReorderOutput", 0.125),
            kernel("fused gemm", "FusedGemm", 1.0),
            batch=2,
        )
        assert list(found) == ["conv/conv", "pool", "(ReorderOutput)", "gemm"]
        assert found["conv/conv"].macs == 2 * 64 * 4 * 3 * 9
        assert found["gemm"].macs == 2 * 4 * 5
        assert found["pool"].macs == found["(ReorderOutput)"].macs == 0
        assert found["(ReorderOutput)"].seconds == 0.25
        assert found["(ReorderOutput)"].bytes == 2000

    def test_a_node_that_is_gone_counts_with_the_one_before(self, network: OnnxFile) -> None:
        found = rows(network, kernel("conv/conv", "Conv", 1.0), kernel("pool", "X", 1.0))
        assert {name: row.macs for name, row in found.items()} == {"conv/conv": 6912, "gemm": 20}
        assert found["gemm"].ops == ("X",)

    def test_by_the_names_of_results(self, network: OnnxFile) -> None:
        found = rows(network, kernel("token_7", "QGemm", 1.0, "uint8", "y"))
        assert found["conv/conv"].macs == 64 * 4 * 27 + 20
        assert (found["conv/conv"].ops, found["conv/conv"].dtype) == (("QGemm",), "uint8")

    def test_nothing_is_lost(self, network: OnnxFile) -> None:
        found = rows(network, kernel("OpenVINO_0", "OpenVINO_subgraph", 1.0))
        assert found["(OpenVINO_subgraph)"].macs == 0

    def test_conversions_have_their_own_row(self, network: OnnxFile) -> None:
        found = rows(
            network,
            kernel("x_QuantizeLinear", "QuantizeLinear", 0.5, "float32", "conv"),
            kernel("Transpose_token_17", "Transpose", 0.5, "uint8", "pool"),
            kernel("conv_QuantizeLinear", "QuantizeLinear", 0.25),
        )
        assert list(found) == ["(QuantizeLinear)", "(Transpose)"]
        assert found["(QuantizeLinear)"].seconds == 0.75

    def test_layers_of_the_model_file(self, tmp_path: Path) -> None:
        (tmp_path / "model.yaml").write_text(MODEL)
        graphcnn.compile(graphcnn.load(tmp_path / "model.yaml"), tmp_path / "m.onnx", seed=0)
        file = read_onnx_file(tmp_path / "m.onnx")
        conv = next(node for node in file.nodes if node.op == "Conv")
        found = rows(
            file,
            kernel(f"{conv.name}_nchwc", "Conv", 1.0),
            kernel("scores/gemm", "Gemm", 0.25),
            kernel("scores", "Softmax", 0.5),
        )
        first, scores = found.values()
        assert set(first.layers) >= {"conv", "norm"}
        assert first.source is not None
        assert first.source.startswith("model.yaml:")
        assert first.macs == 64 * 4 * 27
        assert (scores.name, scores.seconds, scores.macs) == ("scores", 0.75, 20)
        assert scores.ops == ("Gemm", "Softmax")


def layer(macs: int, bytes_: int, seconds: float, dtype: str = "float32") -> Layer:
    return bounded(Layer("a", None, (), ("Conv",), dtype, seconds, macs, bytes_), ROOF)


class TestRoof:
    def test_compute(self) -> None:
        found = layer(10**9, 10**6, 0.04)
        assert (found.least, found.bound) == (pytest.approx(0.02), "compute")
        assert found.roof_share == pytest.approx(0.5)
        assert found.flops == pytest.approx(50e9)
        assert found.intensity == pytest.approx(2000)

    def test_integers_have_their_own_peak(self) -> None:
        assert layer(10**9, 10**6, 0.04, "uint8").least == pytest.approx(0.005)

    def test_memory(self) -> None:
        found = layer(10**6, 10**9, 0.2)
        assert (found.least, found.bound) == (pytest.approx(0.1), "memory")

    def test_without_multiplications(self) -> None:
        found = layer(0, 10**9, 0.1)
        assert (found.bound, found.roof_share, found.flops) == ("memory", pytest.approx(1), 0)

    def test_neither(self) -> None:
        assert layer(10**9, 10**6, 2.0).bound == "neither"
        assert layer(0, 0, 0.1).bound == "neither"
        assert layer(0, 0, 0.0).roof_share == 0

    def test_the_whole_network(self) -> None:
        layers = (layer(10**9, 10**6, 0.04), layer(10**9, 10**6, 0.01, "int8"))
        profile = Profile(1, 9, 0.06, ())
        report = LayerReport("f", Settings(), 1, 0.05, profile, ROOF, layers, 2 * 10**9)
        assert report.kernel_seconds == pytest.approx(0.05)
        assert report.flops == pytest.approx(80e9)
        assert report.peak_share == pytest.approx((0.02 + 0.005) / 0.05)


def test_a_real_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphcnn.bench.timing._ASLEEP", 0.0)
    path = write_network(tmp_path / "network.onnx", height="H")
    report = measure_layers(path, Settings(threads=1), 2, 0.02, ROOF, {"": (16, 8, 3)})
    names = {found.name for found in report.layers if found.macs}
    assert names == {"conv/conv", "gemm"}
    assert report.macs == 2 * (16 * 8 * 4 * 27 + 20) == sum(one.macs for one in report.layers)
    assert report.profile.runs >= 7
    assert report.kernel_seconds > 0
    assert all(one.bytes > 0 for one in report.layers if one.name != "flatten")


def test_not_on_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from graphcnn.bench.profile import ProfiledWorker

    worker = ProfiledWorker(write_network(tmp_path / "n.onnx"), Settings())
    found = {"path": "p", "provider": "CUDAExecutionProvider", "shapes": {}}
    monkeypatch.setattr(worker, "ask", lambda job: found)
    with pytest.raises(RuntimeFailure, match="CUDAExecutionProvider runs it"):
        worker.read(1)
