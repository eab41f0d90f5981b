"""Regularizers as options: their spellings, and that Keras has the same."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

import graphcnn
from graphcnn import Graph, GraphCNNError
from graphcnn.ops import OPS, Conv2D, Dense, Flatten
from graphcnn.options import option_fields
from graphcnn.regularizers import L1, L1L2, L2, REGULARIZERS, Regularizer

FIELDS = [
    (title, field.name)
    for title, op in OPS.items()
    for field in option_fields(op)
    if field.name.endswith("_regularizer")
]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("l1", L1(l1=0.01)),
        ("l2", L2(l2=0.01)),
        ({"l1": 0.1}, L1(l1=0.1)),
        ({"l2": 0}, L2(l2=0.0)),
        ({"l2": {"l2": 0.001}}, L2(l2=0.001)),
        ({"l1_l2": {"l2": 0.5}}, L1L2(l1=0.0, l2=0.5)),
    ],
)
def test_spellings(written: Any, meant: Regularizer) -> None:
    assert Dense(units=1, kernel_regularizer=written).kernel_regularizer == meant


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("l3", "kernel_regularizer: unknown regularizer 'l3'"),
        ({"l2": -1}, "l2: expected a number >= 0.0, found -1"),
        ({"l2": "much"}, "l2: expected a number, found 'much'"),
        ({"l2": None}, "l2: expected a number, found null"),
        ({"l2": {"factor": 1}}, "unknown key 'factor'"),
        ({"l1_l2": 0.1}, "l1_l2: expected a mapping, found 0.1"),
        ("l1_l2", "l1_l2 needs a factor"),
        (0.1, "expected a name or a mapping of one name, found 0.1"),
        ({"l1": 1, "l2": 1}, "expected a name or a mapping of one name"),
    ],
)
def test_refused(written: Any, message: str) -> None:
    with pytest.raises(GraphCNNError) as caught:
        Dense(units=1, kernel_regularizer=written)
    assert message in str(caught.value)


def test_in_a_model_file(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(
        "inputs: {x: [8]}\n"
        "blocks:\n"
        "  b: {parameters: [w], layers: [Dense: {units: 2, kernel_regularizer: {l2: $w}}]}\n"
        "layers: [b: {w: 0.25, name: y}]\n"
    )
    (_, node) = graphcnn.load(path)
    assert isinstance(node.op, Dense)
    assert node.op.kernel_regularizer == L2(l2=0.25)
    path.write_text(
        "inputs: {x: [8]}\nlayers:\n  - Dense: {units: 2, bias_regularizer: {l2: -1}}\n"
    )
    with pytest.raises(GraphCNNError, match=rf"{path}:3:42: .*expected a number >= 0"):
        graphcnn.load(path)


def test_the_compiled_file_is_the_same(tmp_path: Path) -> None:
    files = []
    for number, regularizer in enumerate([None, L2(l2=3.0)]):
        graph = Graph()
        x = graph.input("x", (5, 5, 1))
        options: Any = {"kernel_regularizer": regularizer, "bias_regularizer": regularizer}
        x = graph.add(Conv2D(filters=2, kernel_size=3, **options), x, name="c")
        x = graph.add(Flatten(), x)
        graph.outputs["y"] = graph.add(Dense(units=1, **options), x, name="y")
        graphcnn.compile(graph, tmp_path / f"{number}.onnx")
        files.append((tmp_path / f"{number}.onnx").read_bytes())
    assert files[0] == files[1]


def test_where_they_are() -> None:
    by_operator: dict[str, set[str]] = {}
    for title, name in FIELDS:
        by_operator.setdefault(title, set()).add(name.removesuffix("_regularizer"))
    assert by_operator["Conv2D"] == by_operator["Conv3DTranspose"] == {"kernel", "bias"}
    assert by_operator["DepthwiseConv2D"] == {"depthwise", "bias"}
    assert by_operator["SeparableConv1D"] == {"depthwise", "pointwise", "bias"}
    assert by_operator["BatchNormalization"] == {"beta", "gamma"}
    assert by_operator["LayerNormalization"] == {"beta", "gamma"}


def test_keras_has_the_same() -> None:
    from graphcnn.engine import keras

    for title, name in FIELDS:
        assert name in inspect.signature(getattr(keras.layers, title)).parameters
    for kind in REGULARIZERS.values():
        theirs = inspect.signature(getattr(keras.regularizers, kind.__name__)).parameters
        ours = {field.name: field.default for field in option_fields(kind)}
        assert ours == {name: parameter.default for name, parameter in theirs.items()}
