"""A pass that moves a value is found, and named with the node."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import graphcnn
from graphcnn import ops
from graphcnn.errors import CheckFailed
from graphcnn.graph import Graph
from graphcnn.passes import Explain, FoldAffineIntoPrevious, Pass, apply_passes
from graphcnn.runtime.validation import Validator, _moved
from graphcnn.types import DType
from graphcnn.weights import WeightStore


@dataclass(frozen=True, kw_only=True)
class Change(Pass):
    """Set a field of one node."""

    name: ClassVar[str] = "change"
    node: str
    field: str
    value: Any

    def run(self, graph: Graph, explain: Explain) -> bool:
        node = graph.node(self.node)
        op: Any = node.op
        graph.replace(self.node, op=replace(op, **{self.field: self.value}))
        return True


@pytest.fixture
def graph() -> Graph:
    graph = Graph("net")
    value = graph.input("image", (9, 7, 2))
    value = graph.add(ops.Conv2D(filters=4, kernel_size=3, strides=2, padding="same"), value)
    value = graph.add(ops.BatchNormalization(), value)
    value = graph.add(ops.LeakyReLU(negative_slope=0.1), value)
    value = graph.add(ops.Flatten(), value)
    graph.outputs = {"scores": graph.add(ops.Dense(units=3), value)}
    return graph


def weights(graph: Graph) -> WeightStore:
    rng = np.random.default_rng(0)
    return WeightStore.from_arrays(
        {name: rng.uniform(0.5, 1.5, s.shape).astype("f4") for name, s in graph.weights.items()}
    )


def test_the_compiler_s_own_passes_move_nothing(graph: Graph, tmp_path: Path) -> None:
    report = graphcnn.compile(graph, tmp_path / "m.onnx", weights=weights(graph), validate=True)
    assert {r.name for r in report.passes if r.changed} >= {"fold-affine-into-previous"}


@pytest.mark.parametrize(
    "change",
    [
        Change(node="leaky_re_lu", field="negative_slope", value=0.2),
        Change(node="batch_normalization", field="epsilon", value=0.5),
        Change(node="conv2d", field="padding", value=((0, 2), (1, 1))),
    ],
    ids=lambda change: change.field,
)
def test_a_pass_that_moves_a_value_is_named_with_the_first_node(
    graph: Graph, change: Change
) -> None:
    validator = Validator(graph, weights(graph))
    message = rf"{change.node} \(.*pass change moved it by .* of its largest value"
    with pytest.raises(CheckFailed, match=message):
        apply_passes(graph, [change], observe=validator)


def test_float_noise_is_no_move(graph: Graph) -> None:
    validator = Validator(graph, weights(graph))
    change = Change(node="leaky_re_lu", field="negative_slope", value=0.1 + 1e-7)
    apply_passes(graph, [change, FoldAffineIntoPrevious()], observe=validator)


def test_a_changed_weight_has_moved_a_value(graph: Graph) -> None:
    validator = Validator(graph, weights(graph))
    bias = graph.derive("b", ("conv2d/bias",), np.negative, graph.weight("conv2d/bias"))
    graph.replace("conv2d", weights={**graph.node("conv2d").weights, "bias": bias})
    with pytest.raises(CheckFailed, match="conv2d"):
        validator(FoldAffineIntoPrevious(), graph)


def test_what_is_not_finite_must_stay_so() -> None:
    whole, nan, inf = (np.array([1.0, value], "f4") for value in (2.0, np.nan, np.inf))
    assert [_moved(a, a) for a in (whole, nan, inf, -inf)] == [0.0] * 4
    assert {_moved(a, b) for a, b in ((nan, inf), (inf, -inf), (whole, nan), (nan, whole))} == {
        float("inf")
    }


@dataclass(frozen=True, kw_only=True)
class Forget(Pass):
    """Drop an output."""

    name: ClassVar[str] = "forget"

    def run(self, graph: Graph, explain: Explain) -> bool:
        del graph.outputs["more"]
        return True


def test_an_output_that_is_lost_is_found(graph: Graph) -> None:
    graph.outputs["more"] = "conv2d"
    validator = Validator(graph, weights(graph))
    with pytest.raises(CheckFailed, match="pass forget lost the output more"):
        apply_passes(graph, [Forget()], observe=validator)


def test_half_precision_has_more_noise(tmp_path: Path) -> None:
    graph = Graph("net")
    value = graph.input("image", (9, 9, 4), DType.float16)
    for _ in range(3):
        value = graph.add(ops.Conv2D(filters=8, kernel_size=3, padding="same"), value)
        value = graph.add(ops.ReLU(), graph.add(ops.BatchNormalization(), value))
    graph.outputs["y"] = value
    rng = np.random.default_rng(0)
    arrays = {
        name: rng.uniform(0.05, 0.2, spec.shape).astype("f2")
        for name, spec in graph.weights.items()
    }
    store = WeightStore.from_arrays(arrays)
    report = graphcnn.compile(
        graph, tmp_path / "m.onnx", weights=store, validate=True, target="onnxruntime"
    )
    assert "fold-affine-into-previous" in {r.name for r in report.passes if r.changed}
