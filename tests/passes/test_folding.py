"""Products, sums and pads that go into weights: where they do, where they cannot, and what stays.

Each case runs the pass alone and all passes together, and compares every value that is left with
what the network gives as it is written.
"""

from __future__ import annotations

import pytest

from graphcnn import Graph, WeightStore, ops
from graphcnn.passes import (
    FoldAffineIntoNext,
    FoldAffineIntoPrevious,
    FoldPadding,
    MergeAffine,
    Pass,
    run_passes,
)

from .conftest import Network
from .equivalence import (
    Case,
    Golden,
    check_case,
    check_compiled,
    check_golden,
    every,
    optimizing,
    rewrite,
)

CONV = "Conv2D: {filters: 4, kernel_size: 3, name: conv}"
SAME = "Conv2D: {filters: 4, kernel_size: 3, padding: same, name: conv}"
BN = "BatchNormalization: {name: bn}"

FIRES: dict[Pass, dict[str, Case]] = {
    FoldAffineIntoPrevious(): {
        "batch normalization": Case([CONV, BN], ["Conv2D"]),
        "same padding": Case([SAME, BN, "ReLU"], ["Conv2D", "ReLU"]),
        "groups and dilation": Case(
            [
                "Conv2D: {filters: 6, kernel_size: [2, 3], groups: 2, dilation_rate: 2, "
                "padding: same, use_bias: false}",
                "BatchNormalization: {scale: false}",
            ],
            ["Conv2D"],
        ),
        "depthwise": Case(
            [
                "DepthwiseConv2D: {kernel_size: 3, depth_multiplier: 2, strides: 2}",
                "BatchNormalization: {center: false, epsilon: 0.01}",
            ],
            ["DepthwiseConv2D"],
        ),
        "separable": Case(
            ["SeparableConv2D: {filters: 5, kernel_size: 3, use_bias: false}", BN],
            ["SeparableConv2D"],
        ),
        "transposed": Case(
            ["Conv2DTranspose: {filters: 5, kernel_size: 3, strides: 2, padding: same}", BN],
            ["Conv2DTranspose"],
        ),
        "one axis": Case(
            ["Conv1D: {filters: 3, kernel_size: 3, padding: causal}", "Normalization"],
            ["Conv1D"],
            image="[9, 4]",
        ),
        "three axes": Case(
            ["Conv3D: {filters: 3, kernel_size: 2}", BN], ["Conv3D"], image="[4, 5, 3, 2]"
        ),
        "dense": Case(["Dense: {units: 5}", BN], ["Dense"], image="[6]"),
        "dense over an image": Case(["Dense: {units: 5, use_bias: false}", BN], ["Dense"]),
        "a chain": Case([CONV, "Rescaling: {scale: [1, 2, 0, -1]}", BN], ["Conv2D"]),
        "through a concatenation": Case(
            ["Conv2D: {filters: 3, kernel_size: 3, name: a}",
             "Conv2D: {filters: 2, kernel_size: 3, inputs: [image], name: b}",
             "Concatenate: {inputs: [a, b]}", BN],
            ["Conv2D", "Conv2D", "Concatenate"],
        ),
        "through an average": Case(
            [CONV, "AveragePooling2D: {pool_size: 3, padding: same}", BN],
            ["Conv2D", "AveragePooling2D"],
        ),
        "through a global average": Case(
            [CONV, "GlobalAveragePooling2D", BN], ["Conv2D", "GlobalAveragePooling2D"]
        ),
        "through upsampling": Case(
            [CONV, "UpSampling2D: {interpolation: bilinear}", BN], ["Conv2D", "UpSampling2D"]
        ),
        "through cropping": Case([CONV, "Cropping2D", BN], ["Conv2D", "Cropping2D"]),
        "nothing but a shift": Case(
            ["Conv2D: {filters: 4, kernel_size: 3, use_bias: false}",
             "Rescaling: {scale: 1, offset: 2}"],
            ["Conv2D"],
        ),
    },
    FoldAffineIntoNext(): {
        "into a convolution": Case([BN, CONV], ["Conv2D"]),
        "into groups": Case(
            [BN, "Conv2D: {filters: 6, kernel_size: 3, groups: 2, dilation_rate: 2}"], ["Conv2D"]
        ),
        "into a depthwise convolution": Case(
            [BN, "DepthwiseConv2D: {kernel_size: 3, depth_multiplier: 2, use_bias: false}"],
            ["DepthwiseConv2D"],
        ),
        "into a separable convolution": Case(
            [BN, "SeparableConv2D: {filters: 5, kernel_size: 3, depth_multiplier: 2}"],
            ["SeparableConv2D"],
        ),
        "into a dense layer": Case([BN, "Dense: {units: 3, activation: relu}"], ["Dense"]),
        "a product alone, over padding": Case(["Rescaling: {scale: 0.5}", SAME], ["Conv2D"]),
        "a shift that padding forbids": Case(
            ["Normalization: {name: n}", SAME],
            ["ScaleShift", "Conv2D"],
            "its shift is added first and stays: zero padding of conv (Conv2D) forbids the shift",
        ),
        "into several": Case(
            ["BatchNormalization: {name: bn}", "Conv2D: {filters: 2, kernel_size: 3, name: a}",
             "Dense: {units: 2, inputs: [bn], name: b}"],
            ["Conv2D", "Dense"],
            outputs="[a, b]",
        ),
        "the end of a layer normalization": Case(
            ["LayerNormalization: {epsilon: 0.1}", CONV], ["LayerNormalization", "Conv2D"]
        ),
        "one pixel needs no padding": Case(
            [BN, "Conv2D: {filters: 2, kernel_size: 1, padding: same}"], ["Conv2D"]
        ),
    },
    MergeAffine(): {
        "two": Case(["Rescaling: {scale: 2, offset: 1}", BN], ["ScaleShift"]),
        "three": Case([BN, "Normalization", "Rescaling: {scale: [1, 2, 3, 4]}"], ["ScaleShift"]),
        "shifts alone": Case(
            ["Rescaling: {scale: 1, offset: 2}", "Rescaling: {scale: 1, offset: -3}"],
            ["ScaleShift"],
        ),
        "on vectors": Case([BN, "BatchNormalization"], ["ScaleShift"], image="[5]"),
    },
    FoldPadding(): {
        "into a convolution": Case(
            ["ZeroPadding2D: {padding: [[0, 2], [1, 0]]}", "Conv2D: {filters: 3, kernel_size: 3}"],
            ["Conv2D"],
        ),
        "into pads that are there": Case(
            ["ZeroPadding2D", "Conv2D: {filters: 3, kernel_size: 3, strides: 2, padding: same}"],
            ["Conv2D"],
        ),
        "into a depthwise convolution": Case(
            ["ZeroPadding2D: {padding: [[0, 1], [0, 1]]}",
             "DepthwiseConv2D: {kernel_size: 3, strides: 2}"],
            ["DepthwiseConv2D"],
        ),
        "into a causal one": Case(
            ["ZeroPadding1D: {padding: [1, 2]}",
             "Conv1D: {filters: 2, kernel_size: 3, dilation_rate: 2, padding: causal}"],
            ["Conv1D"],
            image="[9, 4]",
        ),
        "into a maximum of what is positive": Case(
            ["ReLU", "ZeroPadding2D", "MaxPooling2D: {pool_size: 3, strides: 2}"],
            ["ReLU", "MaxPooling2D"],
        ),
        "into a maximum with pads": Case(
            ["Activation: {activation: sigmoid}", "ZeroPadding2D",
             "MaxPooling2D: {pool_size: 3, strides: 1, padding: same}"],
            ["Activation", "MaxPooling2D"],
        ),
        "two paddings": Case(["ZeroPadding2D", "ZeroPadding2D: {padding: 2}"], ["ZeroPadding2D"]),
        "cropped again": Case(
            ["ZeroPadding2D: {padding: 2}", "Cropping2D: {cropping: [[1, 0], [2, 1]]}"],
            ["ZeroPadding2D"],
        ),
        "cropping of a convolution": Case(
            ["Conv2D: {filters: 3, kernel_size: 5, padding: same, activation: relu}",
             "Cropping2D: {cropping: [[1, 2], [0, 1]]}"],
            ["Conv2D"],
        ),
        "cropping of a strided convolution": Case(
            ["DepthwiseConv2D: {kernel_size: 3, strides: 2, padding: [[2, 4], [3, 2]]}",
             "Cropping2D: {cropping: [[1, 1], [1, 1]]}"],
            ["DepthwiseConv2D"],
        ),
        "cropping of a causal one": Case(
            ["Conv1D: {filters: 2, kernel_size: 4, padding: causal}",
             "Cropping1D: {cropping: [2, 0]}"],
            ["Conv1D"],
            image="[9, 4]",
        ),
        "cropping of a maximum": Case(
            ["MaxPooling2D: {pool_size: 3, strides: 1, padding: same}", "Cropping2D"],
            ["MaxPooling2D"],
        ),
        "for some users": Case(
            ["ZeroPadding2D: {name: p}", "Conv2D: {filters: 4, kernel_size: 3, name: a}",
             "AveragePooling2D: {pool_size: 3, strides: 1, inputs: [p], name: b}",
             "Add: {inputs: [a, b]}"],
            ["ZeroPadding2D", "Conv2D", "AveragePooling2D", "Add"],
            "not folded into b (AveragePooling2D): an average that counts pads",
        ),
        "sizes that are not known": Case(
            ["ZeroPadding2D", "Conv2D: {filters: 3, kernel_size: 3, padding: same}"],
            ["Conv2D"],
            image="[H, W, 4]",
        ),
    },
}  # fmt: skip

GUARDS: dict[Pass, dict[str, Case]] = {
    FoldAffineIntoPrevious(): {
        "activation between": Case(
            ["Conv2D: {filters: 4, kernel_size: 3, activation: relu, name: conv}", BN],
            reason="not folded into conv (Conv2D): its activation ReLU lies between",
        ),
        "second user": Case(
            [SAME, BN, "Add: {inputs: [bn, conv]}"], reason="conv is used by add too"
        ),
        "output": Case([CONV, BN], reason="conv is the output conv", outputs="[conv, bn]"),
        "an average that counts zeros between": Case(
            [CONV, "AveragePooling2D: {pool_size: 3, padding: 1, count_include_pad: true}", BN],
            reason="it is no convolution or dense layer",
        ),
        "a concatenation along the rows between": Case(
            ["Conv2D: {filters: 2, kernel_size: 3, name: a}",
             "Conv2D: {filters: 2, kernel_size: 3, inputs: [image], name: b}",
             "Concatenate: {inputs: [a, b], axis: 1}", BN],
            reason="it is no convolution or dense layer",
        ),
        "a concatenation of what has another user": Case(
            ["Conv2D: {filters: 4, kernel_size: 3, name: a}",
             "Conv2D: {filters: 2, kernel_size: 3, inputs: [image], name: b}",
             "Concatenate: {inputs: [a, b]}", "BatchNormalization: {name: bn}",
             "Add: {inputs: [a, a], name: s}"],
            reason="it is no convolution or dense layer",
            outputs="[bn, s]",
        ),
        "no linear layer": Case(
            ["ReLU: {name: r}", BN], reason="r (ReLU): it is no convolution or dense layer"
        ),
    },
    FoldAffineIntoNext(): {
        "padding": Case(
            [BN, SAME],
            reason="not folded into what follows: zero padding of conv (Conv2D) forbids the shift",
        ),
        "transposed": Case(
            [BN, "Conv2DTranspose: {filters: 2, kernel_size: 3, name: t}"],
            reason="zero padding of t (Conv2DTranspose) forbids",
        ),
        "a user that cannot": Case(
            [BN, CONV, "ReLU: {inputs: [bn], name: r}"],
            reason="r (ReLU) is no convolution or dense layer",
            outputs="[conv, r]",
        ),
        "output": Case([BN, CONV], reason="it is the output bn", outputs="[bn, conv]"),
        "a scale of 0": Case(
            ["Rescaling: {scale: [1, 0, 1, 1], offset: 1}", SAME], reason="forbids the shift"
        ),
        "padding of open sizes": Case([BN, SAME], reason="forbids", image="[H, W, 4]"),
    },
    MergeAffine(): {
        "second user": Case(
            [BN, "Rescaling: {scale: 2, offset: 1, name: r}", "Add: {inputs: [bn, r]}"],
            reason="not merged with bn (BatchNormalization): bn is used by add too",
        ),
        "output": Case(
            [BN, "Rescaling: {scale: 2, name: r}"], reason="bn is the output bn", outputs="[bn, r]"
        ),
        "something between": Case([BN, "ReLU", "BatchNormalization"]),
    },
    FoldPadding(): {
        "a maximum of anything": Case(
            ["ELU: {name: e}", "ZeroPadding2D", "MaxPooling2D: {pool_size: 3}"],
            reason="e may be negative, and then a zero is the largest",
        ),
        "a window of padding": Case(
            ["ReLU", "ZeroPadding2D: {padding: 2}", "MaxPooling2D"],
            reason="a window would lie in the padding only",
        ),
        "a maximum with pads": Case(
            ["ReLU", "ZeroPadding2D: {padding: [[2, 1], [0, 0]]}",
             "MaxPooling2D: {pool_size: 3, strides: 1, padding: same}"],
            reason="a window would lie in the padding only",
        ),
        "an average": Case(
            ["ZeroPadding2D", "AveragePooling2D: {pool_size: 3}"],
            reason="an average that counts pads is written with padding before it",
        ),
        "a transposed convolution": Case(
            ["ZeroPadding2D", "Conv2DTranspose: {filters: 2, kernel_size: 3}"],
            reason="it is no convolution, maximum or padding",
        ),
        "cropping more": Case(
            ["ZeroPadding2D: {name: p}", "Cropping2D: {cropping: 2}"],
            reason="not folded into p (ZeroPadding2D): it crops more than zeros",
        ),
        "cropping of a second user": Case(
            ["ZeroPadding2D: {padding: 2, name: p}", "Cropping2D: {name: c}",
             "GlobalMaxPooling2D: {inputs: [p], name: g}"],
            reason="p is used by g too",
            outputs="[c, g]",
        ),
        "cropping more than a convolution pads": Case(
            ["Conv2D: {filters: 3, kernel_size: 3, padding: same, name: c}",
             "Cropping2D: {cropping: 2}"],
            reason="not folded into c (Conv2D): it crops more than zeros",
        ),
        "cropping of an activation of positions": Case(
            ["Conv2D: {filters: 3, kernel_size: 3, padding: same, "
             "activation: {softmax: {axis: 1}}}",
             "Cropping2D"],
            reason="its activation depends on the position",
        ),
        "cropping of an average": Case(
            ["AveragePooling2D: {pool_size: 3, strides: 1, padding: same}", "Cropping2D"],
            reason="before it is no zero padding",
        ),
        "cropping of anything": Case(["ReLU", "Cropping2D"], reason="before it is no zero padding"),
        "output": Case(
            ["ReLU", "ZeroPadding2D: {name: p}", "Cropping2D: {name: c}"],
            reason="p is the output p",
            outputs="[p, c]",
        ),
    },
}  # fmt: skip


@pytest.mark.parametrize(("step", "case"), every(FIRES))
def test_it_fires(network: Network, step: Pass, case: Case) -> None:
    check_case(network, step, case)


@pytest.mark.parametrize(("step", "case"), every(GUARDS))
def test_it_does_not_fire(network: Network, step: Pass, case: Case) -> None:
    check_case(network, step, case)


@pytest.mark.parametrize("step", FIRES, ids=lambda step: step.name)
def test_golden(network: Network, golden: Golden, step: Pass) -> None:
    check_golden(network, golden, step, FIRES[step])


def shared(same: bool, second: bool = True) -> Graph:
    """A convolution used on two images, and batch normalization after one or both.

    Args:
        same: Whether both are normalized by the same numbers.
        second: Whether the second is normalized at all.
    """
    graph = Graph("shared")
    conv, bn = ops.Conv2D(filters=3, kernel_size=3), ops.BatchNormalization()
    for letter in ("a", "b"):
        graph.input(f"image_{letter}", (7, 9, 2))
        first = letter == "a"
        weights = {} if first else graph.node("conv_a").weights
        value = graph.add(conv, f"image_{letter}", name=f"conv_{letter}", weights=weights)
        if first or second:
            weights = graph.node("bn_a").weights if same and not first else {}
            value = graph.add(bn, value, name=f"bn_{letter}", weights=weights)
        graph.outputs[letter] = value
    return graph


def test_shared_weights_fold_where_the_same_follows() -> None:
    graph = shared(same=True)
    found = rewrite(graph, FoldAffineIntoPrevious())
    assert found.titles == ["Input", "Conv2D", "Input", "Conv2D"]
    assert len(found.after.weights) == 2
    check_compiled(graph)


@pytest.mark.parametrize("second", [True, False])
def test_shared_weights_stay_where_something_else_follows(second: bool) -> None:
    found = rewrite(shared(same=False, second=second), FoldAffineIntoPrevious())
    assert not found.record.changed
    assert (
        "bn_a",
        "not folded into conv_a (Conv2D): it shares conv_a/kernel with conv_b, "
        "which is not followed by the same",
    ) in found.reasons


def test_shared_weights_stay_where_something_else_is_before() -> None:
    graph = Graph("shared")
    graph.input("image", (7, 9, 2))
    graph.add(ops.BatchNormalization(), "image", name="bn")
    conv = ops.Conv2D(filters=3, kernel_size=3)
    graph.outputs["a"] = graph.add(conv, "bn", name="a")
    graph.outputs["b"] = graph.add(conv, "image", name="b", weights=graph.node("a").weights)
    found = rewrite(graph, FoldAffineIntoNext())
    assert found.reasons == [("bn", "not folded into what follows: a shares a/kernel with b")]
    graph.replace("b", inputs=("bn",))
    found = rewrite(graph, FoldAffineIntoNext())
    assert found.titles == ["Input", "Conv2D", "Conv2D"]
    assert len(found.after.weights) == 2


def test_what_was_fused_is_listed(network: Network) -> None:
    """Every layer that went into a node, the one whose value it has first, and who did it."""
    graph = network(
        "ZeroPadding2D: {name: pad}", CONV, "Rescaling: {scale: 2, name: r}", BN,
        "Normalization: {name: n}", "Dense: {units: 2, name: d}",
    )  # fmt: skip
    after, _ = run_passes(graph, [optimizing()])
    (node,) = [node for node in after if node.name == "n"]
    assert [layer.name for layer in node.layers] == ["n", "bn", "r", "conv", "pad"]
    assert [layer.title for layer in node.layers][-1] == "ZeroPadding2D"
    assert all(layer.location for layer in node.layers)
    assert set(node.passes) == {"fold-padding", "fold-affine-into-previous"}


def test_a_new_value_is_not_taken_for_a_layers(network: Network) -> None:
    graph = network("Normalization: {name: n}", SAME)
    after = rewrite(graph, FoldAffineIntoNext()).after
    assert [layer.name for layer in after.node("n/shift").layers] == ["n/shift", "n"]


def test_numbers_are_combined_in_double_precision() -> None:
    """(1 + 2^-30) - 1 is 0 in float32: a chain of two sums rounds once."""
    graph = Graph("precise")
    graph.input("x", (2,))
    graph.add(ops.Rescaling(scale=1.0, offset=1 + 2.0**-30), "x", name="a")
    graph.outputs["b"] = graph.add(ops.Rescaling(scale=1.0, offset=-1.0), "a", name="b")
    after, _ = run_passes(graph, [MergeAffine()])
    (name,) = after.node("b").weights.values()
    store = WeightStore.from_arrays({}).deriving(after.derived)
    assert store[name].load().tolist() == [2.0**-30] * 2


def test_a_layer_that_follows_itself() -> None:
    graph = Graph()
    value = graph.add(ops.BatchNormalization(), graph.input("image", (4, 4, 3)), name="bn")
    value = graph.add(ops.BatchNormalization(), value, weights=graph.node("bn").weights, name="bn2")
    graph.outputs["y"] = graph.add(ops.Conv2D(filters=2, kernel_size=1), value, name="conv")
    assert check_compiled(graph) == (3, 1)


def test_a_long_chain_is_merged_at_once() -> None:
    graph = Graph()
    value = graph.input("image", (4, 4, 3))
    for number in range(60):
        value = graph.add(ops.Rescaling(scale=1.01, offset=0.1 * number), value)
    graph.outputs["y"] = value
    after, _ = run_passes(graph, [MergeAffine()])
    assert len(after) == 2
    assert len(after.derived) == 2
    check_compiled(graph)


def test_a_normalization_of_axis_1_stays_on_vectors() -> None:
    graph = Graph()
    value = graph.add(ops.GlobalAveragePooling2D(), graph.input("image", (5, 5, 3)))
    value = graph.add(ops.ReLU(), graph.add(ops.BatchNormalization(axis=1), value))
    graph.outputs["y"] = graph.add(ops.Reshape(target_shape=(1, 1, 3)), value)
    check_compiled(graph)
