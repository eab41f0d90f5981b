"""A reversal of the channels: into which layers it folds, past which it moves, where it stays."""

from __future__ import annotations

import pytest

from graphcnn import Graph
from graphcnn.ops.embedding import ReverseChannels
from graphcnn.passes import FoldChannelOrder

from .conftest import Network
from .equivalence import rewrite

CONV = "Conv2D: {filters: 4, kernel_size: 3, name: conv}"

FIRES = {
    "convolution": ([CONV], ["Conv2D"]),
    "without a bias": (["Conv2D: {filters: 2, kernel_size: 1, use_bias: false}"], ["Conv2D"]),
    "dense": (["Dense: {units: 5}"], ["Dense"]),
    "one number": (["Rescaling: {scale: 0.5, offset: 1.0}", CONV], ["ScaleShift", "Conv2D"]),
    "by channel": (["Rescaling: {scale: [1.0, 2.0, 3.0]}", CONV], ["ScaleShift", "Conv2D"]),
    "statistics": (
        ["Normalization", "BatchNormalization", CONV],
        ["ScaleShift", "ScaleShift", "Conv2D"],
    ),
    "by position": (
        ["ZeroPadding2D", "MaxPooling2D", "Cropping2D", "Resizing: {height: 9, width: 5}",
         "UpSampling2D", "CenterCrop: {height: 6, width: 6}", CONV],
        ["ZeroPadding2D", "MaxPooling2D", "Cropping2D", "Resizing", "UpSampling2D", "CenterCrop",
         "Conv2D"],
    ),
    "two users": (
        [CONV, "Conv2D: {filters: 4, kernel_size: 3, inputs: [image], name: other}",
         "Add: {inputs: [conv, other]}"],
        ["Conv2D", "Conv2D", "Add"],
    ),
}  # fmt: skip

STAYS = {
    "groups": ("Conv2D: {filters: 6, kernel_size: 3, groups: 3}", "one of 3 groups of channels"),
    "depthwise": ("DepthwiseConv2D: {kernel_size: 3}", "it is no convolution over all channels"),
    "flatten": ("Flatten", "it is no convolution over all channels"),
    "softmax": ("Softmax", "it is no convolution over all channels"),
}


def reversed_first(graph: Graph) -> Graph:
    """The same network of an image in the other order."""
    users = graph.users("image")
    graph.add(ReverseChannels(), "image", name="turned", after="image")
    for user in users:
        inputs = tuple("turned" if name == "image" else name for name in user.inputs)
        graph.replace(user.name, inputs=inputs)
    return graph


@pytest.mark.parametrize("case", FIRES)
def test_it_folds(case: str, network: Network) -> None:
    layers, titles = FIRES[case]
    found = rewrite(reversed_first(network(*layers)), FoldChannelOrder())
    assert found.titles == ["Input", *titles]


@pytest.mark.parametrize("case", STAYS)
def test_it_stays(case: str, network: Network) -> None:
    layer, reason = STAYS[case]
    found = rewrite(reversed_first(network(layer)), FoldChannelOrder())
    assert found.titles[1] == "ReverseChannels"
    ((node, said),) = found.reasons
    assert node == "turned"
    assert said.startswith("not folded into ")
    assert reason in said


def test_it_stays_for_those_that_cannot_take_it(network: Network) -> None:
    graph = reversed_first(network(
        CONV, "Softmax: {inputs: [image], name: soft}", "Flatten: {inputs: [soft]}",
        "Flatten: {inputs: [conv], name: flat}", outputs="[flat, flatten]",
    ))  # fmt: skip
    found = rewrite(graph, FoldChannelOrder())
    assert [user.name for user in found.after.users("image")] == ["turned", "conv"]
    assert [user.name for user in found.after.users("turned")] == ["soft"]


def test_a_value_that_is_an_output_is_put_in_order(network: Network) -> None:
    graph = reversed_first(network("Rescaling: {scale: [1.0, 2.0, 3.0], name: scaled}", CONV))
    graph.outputs["scaled"] = "scaled"
    found = rewrite(graph, FoldChannelOrder())
    assert found.after.node("scaled").op == ReverseChannels()
    assert found.after.node("conv").inputs == found.after.node("scaled").inputs
    assert found.origins["conv"] == ["conv", "scaled", "turned"]


def test_convolution_and_pixels_that_share_a_kernel(network: Network) -> None:
    graph = network(
        CONV, "Softmax: {inputs: [image], name: soft}",
        "Conv2D: {filters: 4, kernel_size: 3, shares: conv, inputs: [soft], name: twin}",
        "Add: {inputs: [conv, twin]}",
    )  # fmt: skip
    graph.add(ReverseChannels(), "image", name="turned", after="image")
    graph.replace("conv", inputs=("turned",))
    after = rewrite(graph, FoldChannelOrder()).after
    assert after.node("twin").weights["kernel"] == "conv/kernel"
    assert after.node("conv").weights["kernel"] != "conv/kernel"
