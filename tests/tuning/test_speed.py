"""Which layers are slower in integers, by made-up times of their kernels."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

import graphcnn
from graphcnn.bench.layers import Layer as Row
from graphcnn.bench.profile import Kernel
from graphcnn.onnx_file import OnnxFile, read_onnx_file
from graphcnn.tuning.speed import slower

MODEL = """
name: tiny
inputs: {image: [8, 8, 2]}
layers:
  - Conv2D: {filters: 4, kernel_size: 3, activation: relu, name: first}
  - MaxPooling2D: {pool_size: 2, name: pool}
  - Conv2D: {filters: 4, kernel_size: 3, activation: relu, name: second}
  - Flatten: {name: flat}
  - Dense: {units: 3, name: scores}
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> OnnxFile:
    folder = tmp_path_factory.mktemp("speed")
    (folder / "tiny.yaml").write_text(MODEL)
    graphcnn.compile(graphcnn.load(folder / "tiny.yaml"), folder / "tiny.onnx")
    return read_onnx_file(folder / "tiny.onnx")


def rows(times: Mapping[str, float]) -> list[Row]:
    return [
        Row(name.split("+")[0], None, tuple(name.split("+")), (), "float32", seconds, 0, 0)
        for name, seconds in times.items()
    ]


def conversion(name: str, op: str, seconds: float) -> Kernel:
    return Kernel(f"{name}_{op}", op, seconds, 0, "float32")


BEFORE = {"first": 5.0, "second": 5.0, "scores": 5.0}


def found(
    file: OnnxFile, after: Mapping[str, float], *kernels: Kernel, floats: tuple[str, ...] = ()
) -> list[str]:
    return [layer.name for layer in slower(file, floats, rows(BEFORE), rows(after), kernels)]


def test_a_layer_that_takes_longer_is_slower(file: OnnxFile) -> None:
    assert found(file, {"first": 6.0, "second": 2.0, "scores": 5.0}) == ["first"]


def test_a_conversion_counts_for_the_layer_it_is_made_for(file: OnnxFile) -> None:
    after = {"first": 4.0, "second": 4.0, "scores": 4.0}
    assert found(file, after, conversion("image", "QuantizeLinear", 2.0)) == ["first"]
    assert found(file, after, conversion("pool", "QuantizeLinear", 2.0)) == ["second"]
    assert found(file, after, conversion("second", "DequantizeLinear", 2.0)) == ["second"]


def test_a_conversion_passes_over_what_only_moves_values(file: OnnxFile) -> None:
    after = {"first": 4.0, "second": 4.0, "scores": 4.0}
    assert found(file, after, conversion("first", "QuantizeLinear", 2.0)) == ["second"]
    assert found(file, after, conversion("flat", "DequantizeLinear", 2.0)) == ["second"]


def test_layers_of_one_kernel_are_compared_together(file: OnnxFile) -> None:
    before = {"first+second": 10.0, "scores": 5.0}
    after = {"first": 1.0, "second": 8.0, "scores": 5.0}
    layers = slower(file, (), rows(before), rows(after), ())
    assert layers == []


def test_what_is_in_float_already_is_not_named_and_pays_nothing(file: OnnxFile) -> None:
    conv = next(node.name for node in file.nodes if node.op == "Conv")
    after = {"first": 9.0, "second": 4.0, "scores": 4.0}
    kernel = conversion("pool", "QuantizeLinear", 2.0)
    assert found(file, after, kernel, floats=(conv,)) == ["second"]
    assert found(file, after, conversion("image", "QuantizeLinear", 2.0), floats=(conv,)) == []
