"""Graphs written as model files, and layers that share weights in them."""

from __future__ import annotations

from pathlib import Path

import pytest

import graphcnn
from graphcnn import Graph
from graphcnn.errors import ExportError
from graphcnn.frontends.write_yaml import write_model
from graphcnn.initializers import Constant, RandomNormal
from graphcnn.ops import ELU, Activation, Conv2D, Dense, LeakyReLU, ReLU
from graphcnn.regularizers import L1L2, L2
from graphcnn.text import print_graph
from graphcnn.types import symbol

from .conftest import Errors, Read

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_stay_what_they_are(read: Read, path: Path) -> None:
    graph = graphcnn.load(path)
    again = read(write_model(graph))
    assert print_graph(again, origins=False) == print_graph(graph, origins=False)
    assert again.classes == graph.classes


NAMES = ["true", "No", "null", "1e5", "0x1f", "1_000", "12", "a.b", "a/b", "x-y", "3d", "y", "_"]


def test_names_that_could_be_read_as_something_else(read: Read) -> None:
    graph = Graph("# a: 'net', \"odd\" {[\\ é ☃")
    x = graph.input("yes", (symbol("n"), symbol("W"), 3))
    for name in NAMES:
        x = graph.add(ReLU(), x, name=name)
    graph.outputs = {"12": "12", x: x}
    graph.classes = ("no", "it's", "3", "a: b", "\N{SNOWMAN}", "~", "- x", "café", "!", "{}")
    again = read(write_model(graph, "from\nsomewhere"))
    assert print_graph(again, origins=False) == print_graph(graph, origins=False)
    assert again.classes == graph.classes


def test_values_of_every_kind(read: Read) -> None:
    graph = Graph()
    x = graph.input("x", (8, 8, 3))
    ops = [
        Conv2D(filters=2, kernel_size=3, padding=((0, 1), (1, 0)), activation=ReLU(max_value=6.0)),
        Conv2D(filters=2, kernel_size=(1, 2), kernel_initializer=RandomNormal(stddev=1e-7)),
        Conv2D(filters=1, kernel_size=1, bias_initializer=Constant(value=0.5), groups=1),
        Dense(units=1, kernel_regularizer=L2(l2=0.1), bias_regularizer=L1L2(l1=0.1)),
        Activation(activation=LeakyReLU(negative_slope=0.2)),
        Activation(activation=LeakyReLU()),
        Activation(activation=ELU(alpha=1e22)),
    ]
    for op in ops:
        x = graph.add(op, x)
    graph.outputs = {x: x}
    text = write_model(graph)
    assert print_graph(read(text), origins=False) == print_graph(graph, origins=False)
    for part in (
        "padding: [[0, 1], [1, 0]], activation: relu6",
        "{random_normal: {stddev: 1e-07}}",
        "{constant: 0.5}",
        "kernel_regularizer: {l2: 0.1}",
        "activation: leaky_relu,",
        "{leaky_relu: {negative_slope: 0.3}}",
    ):
        assert part in text


def test_what_a_model_file_cannot_say() -> None:
    graph = Graph()
    x = graph.input("x", (8,))
    graph.outputs = {"other": graph.add(ReLU(), x, name="r")}
    with pytest.raises(ExportError, match="the output other is called r"):
        write_model(graph)


SHARED = """
inputs: {x: [8, 8, 3]}
layers:
  - Conv2D: {filters: 3, kernel_size: 1, name: b, shares: a}
  - Conv2D: {filters: 3, kernel_size: 1, name: a, inputs: [x]}
  - Add: {inputs: [a, b]}
  - {repeat: 2, name: more, layers: [Conv2D: {filters: 3, kernel_size: 1, shares: b}]}
"""


def test_shared_weights(read: Read) -> None:
    graph = read(SHARED)
    assert {*graph.weights} == {"a/kernel", "a/bias"}
    assert graph.node("b").weights == graph.node("more_2/conv2d").weights
    again = read(write_model(graph))
    assert print_graph(again, origins=False) == print_graph(graph, origins=False)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Dense: {units: 3, shares: q}", "there is no layer or input named 'q'"),
        ("Dense: {units: 3, shares: 3}", "shares: expected a layer's name, found 3"),
        ("Dense: {units: 3, shares: [a]}", "shares: expected a layer's name, found a list"),
        ("Dense: {units: 3, shares: a}", "a (Conv2D) has no weights for it"),
        ("Dense: {units: 3, shares: x}", "x (Input) has no weights for it"),
        ("ReLU: {shares: r}", "r (ReLU) has no weights for it"),
        ("Conv2D: {filters: 4, kernel_size: 1, shares: a}", "its kernel would share a/kernel"),
        ("Conv2D: {filters: 3, kernel_size: 1, name: d, shares: d}", "there is a cycle: d <- d"),
        ("block: {shares: a}", "unknown parameter 'shares'"),
    ],
)
def test_weights_that_cannot_be_shared(errors: Errors, line: str, said: str) -> None:
    text = (
        "inputs: {x: [8, 8, 3]}\n"
        "blocks: {block: {layers: [ReLU]}}\n"
        "layers:\n"
        "  - Conv2D: {filters: 3, kernel_size: 1, name: a}\n"
        "  - ReLU: {name: r}\n"
        f"  - {line}\n"
    )
    found = errors(text)
    assert said in str(found[0])
    assert found[0].location is not None
    assert found[0].location.line == 6


def test_a_layer_that_shares_others_than_all_its_weights(errors: Errors) -> None:
    text = """
inputs: {x: [8]}
layers:
  - Dense: {units: 8, use_bias: false, name: a}
  - Dense: {units: 8, shares: a}
"""
    assert "bias" in str(errors(text)[0])
