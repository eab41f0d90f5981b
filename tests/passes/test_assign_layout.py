"""Layouts: what each value gets, and where the network pays for it with a change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest

from graphcnn import Graph
from graphcnn.ops import ChangeLayout
from graphcnn.passes import AssignLayout, run_passes
from graphcnn.types import FIRST, LAST

from .conftest import Network

CONV = "Conv2D: {filters: 4, kernel_size: 3, padding: same, name: conv}"


def placed(graph: Graph, layout: Literal["nchw", "nhwc"] = "nchw") -> Graph:
    return run_passes(graph, [AssignLayout(input_layout=layout)])[0]


def changes(graph: Graph) -> list[str]:
    return [node.name for node in graph if isinstance(node.op, ChangeLayout)]


NETWORKS = {
    "classifier": (CONV, "MaxPooling2D", "Flatten", "Dense: {units: 5}", "Softmax"),
    "dense-on-image": (CONV, "Dense: {units: 5}", "GlobalAveragePooling2D"),
    "flatten-output": (CONV, "Flatten"),
    "reshape": (CONV, "Reshape: {target_shape: [4, 64]}", "Conv1D: {filters: 1, kernel_size: 3}"),
    "concatenated": (
        CONV, "Flatten: {name: a}", "Flatten: {name: b, inputs: [image]}",
        "Concatenate: {inputs: [a, b]}", "Dense: {units: 3}",
    ),
    "permute": (CONV, "Permute: {dims: [3, 1, 2]}", "ReLU"),
    "two-uses": (
        CONV, "Flatten: {name: a}", "Dense: {units: 3, name: d, inputs: [a]}",
        "Dense: {units: 3, name: e, inputs: [a]}", "Add: {inputs: [d, e]}",
    ),
    "elementwise": ("ReLU", "BatchNormalization", CONV, "Softmax", "LayerNormalization"),
    "plain": ("Flatten", "Dense: {units: 3}"),
}  # fmt: skip


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("name", NETWORKS)
def test_golden(
    network: Network,
    golden: Callable[[str, str], None],
    name: str,
    layout: Literal["nchw", "nhwc"],
) -> None:
    graph = network(*NETWORKS[name])
    after, (record,) = run_passes(graph, [AssignLayout(input_layout=layout)])
    golden(f"passes/assign-layout.{name}.before.txt", str(graph))
    reasons = "\n".join(f"  {node}: {reason}" for node, reason in record.reasons)
    golden(f"passes/assign-layout.{name}.{layout}.txt", f"{after}\n{reasons}".rstrip())


@pytest.mark.parametrize("name", ["classifier", "concatenated", "two-uses", "elementwise"])
def test_nothing_is_changed_when_the_input_is_channels_first(network: Network, name: str) -> None:
    assert changes(placed(network(*NETWORKS[name]))) == []


@pytest.mark.parametrize("name", ["classifier", "two-uses"])
def test_only_the_input_is_changed_when_it_is_channels_last(network: Network, name: str) -> None:
    assert changes(placed(network(*NETWORKS[name]), "nhwc")) == ["image/channels_first"]


def test_a_change_is_made_once_for_all_users(network: Network) -> None:
    graph = placed(
        network(
            CONV, "Reshape: {target_shape: [4, 64], name: r}",
            "Reshape: {target_shape: [64, 4], name: s, inputs: [conv]}",
            "Reshape: {target_shape: [2, 128], name: t, inputs: [conv]}", outputs="[r, t, s]",
        )
    )  # fmt: skip
    assert changes(graph)[:1] == ["conv/channels_last"]
    assert graph.node("r").inputs == graph.node("t").inputs == ("conv/channels_last",)


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_outputs_lie_as_inputs_do(network: Network, layout: Literal["nchw", "nhwc"]) -> None:
    graph = placed(network(CONV, "ReLU: {name: r}", outputs="[conv, r]"), layout)
    wanted = FIRST if layout == "nchw" else LAST
    assert [graph.node(source).layout for source in graph.outputs.values()] == [wanted] * 2
    assert graph.node("image").layout == wanted
    assert list(graph.outputs) == ["conv", "r"]


def test_a_flattened_output_is_in_order(network: Network) -> None:
    """What a caller sees flattened is in channels-last order, though Dense could do without."""
    graph = placed(network(CONV, "Flatten: {name: f}", "Dense: {units: 2}", outputs="[dense, f]"))
    assert graph.node("f").layout == LAST
    assert changes(graph) == ["conv/channels_last"]


def test_the_kernel_absorbs_the_order(network: Network) -> None:
    graph = placed(network(CONV, "Flatten", "Dropout: {rate: 0.5}", "Dense: {units: 2}"))
    assert graph.node("dropout").layout.segments == ((8, 8, 4),)
    assert graph.node("dense").passes == ("assign-layout",)


def test_every_node_gets_what_it_asked_for(network: Network) -> None:
    """Whatever the layouts, the logical types stay."""
    for layers in NETWORKS.values():
        graph = network(*layers)
        after = placed(graph)
        assert all(after.type(node.name) == graph.type(node.name) for node in graph)
        assert dict(after.weights) == dict(graph.weights)
