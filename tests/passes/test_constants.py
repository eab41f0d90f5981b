"""No ONNX node computes what could have been a number: there is nothing for folding to find.

The graph has no constant values: constants are fields of operators, and weights that passes change
are computed when they are written. So constant folding is a property of the files, tested here.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import cast

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

import graphcnn
from graphcnn import Graph, WeightStore
from graphcnn.export import lower
from graphcnn.passes import run_passes
from graphcnn.pipeline import pipeline

from .test_random_rewrites import drawn

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))


def constant_nodes(model: onnx.GraphProto) -> list[str]:
    """The nodes that no input leads to."""
    fed = {value.name for value in model.input}
    found = []
    for node in model.node:
        if fed.isdisjoint(node.input):
            found.append(node.name)
        else:
            fed.update(node.output)
    return found


def compiled(graph: Graph) -> onnx.GraphProto:
    """The ONNX nodes of a graph after all passes."""
    after, _ = run_passes(graph, pipeline("nchw"))
    return lower(after, cast(WeightStore, defaultdict(lambda: None))).model.graph


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples(path: Path) -> None:
    assert constant_nodes(compiled(graphcnn.load(path))) == []


@settings(max_examples=50)
@given(data=st.data())
def test_drawn_graphs(data: st.DataObject) -> None:
    assert constant_nodes(compiled(drawn(data, 12))) == []


def test_they_would_be_found() -> None:
    nodes = [
        helper.make_node("Neg", ["number"], ["a"], name="constant"),
        helper.make_node("Add", ["x", "a"], ["b"], name="fed"),
        helper.make_node("Abs", ["a"], ["c"], name="constant too"),
    ]
    x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    model = helper.make_graph(nodes, "graph", [x], [])
    assert constant_nodes(model) == ["constant", "constant too"]
