"""Layers that go away: identities, reshapes, pieces of activations, slices that are joined again.

Each case runs the pass alone and all passes together, and compares every value that is left with
what the network gives as it is written.
"""

from __future__ import annotations

import pytest

from graphcnn import Graph, ops
from graphcnn.passes import (
    MergeReshapes,
    Pass,
    RecognizeActivations,
    RemoveIdentities,
    SimplifyConcatenation,
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
    onnx_nodes,
    optimizing,
    rewrite,
)

CONV = "Conv2D: {filters: 4, kernel_size: 3, name: x}"
SHIFT = "Rescaling: {scale: 1, offset: 3, inputs: [x], name: shifted}"
RELU6 = "ReLU: {max_value: 6, name: cut}"
SIXTH = "Rescaling: {scale: 0.16666667, name: sixth}"
HALF = "Rescaling: {scale: 0.5, inputs: [x], name: half}"
ERF = (
    "Rescaling: {scale: 0.70710678, inputs: [x]}",
    "Activation: {activation: erf}",
    "Rescaling: {scale: 1, offset: 1, name: e}",
)
TANH = (
    "Power: {exponent: 3, inputs: [x]}", "Rescaling: {scale: 0.044715, name: cube}",
    "Add: {inputs: [x, cube]}", "Rescaling: {scale: 0.79788456}", "Activation: {activation: tanh}",
)  # fmt: skip
CUT = ("Slice: {axis: 3, stop: 1, name: a}", "Slice: {axis: 3, start: 1, inputs: [image], name: b}")

FIRES: dict[Pass, dict[str, Case]] = {
    RemoveIdentities(): {
        "linear": Case([CONV, "Activation: {activation: linear}", "ELU"], ["Conv2D", "ELU"]),
        "times 1 plus 0": Case(["Rescaling: {scale: 1}", "ELU"], ["ELU"], "multiplies by 1"),
        "no pads, no crops": Case(
            ["ZeroPadding2D: {padding: 0}", "Cropping2D: {cropping: 0}", "ELU"], ["ELU"]
        ),
        "one window": Case(
            ["MaxPooling2D: {pool_size: 1}", "AveragePooling2D: {pool_size: 1}", "ELU"], ["ELU"]
        ),
        "one size": Case(
            ["UpSampling2D: {size: 1, interpolation: bilinear}", "Resizing: {height: 9, width: 7}",
             "CenterCrop: {height: 9, width: 7}", "ELU"],
            ["ELU"],
        ),
        "one shape": Case(
            ["Reshape: {target_shape: [9, 7, -1]}", "Permute: {dims: [1, 2, 3]}", "ELU"], ["ELU"]
        ),
        "flatten a vector": Case(["Flatten", "ELU"], ["ELU"], image="[5]"),
        "axes of size 1 change places": Case(
            ["Permute: {dims: [2, 1, 3]}", "ELU"], ["ELU"], image="[1, 1, 4]"
        ),
        "a slice of all": Case(["Slice: {axis: 1, start: 0, stop: 9}", "ELU"], ["ELU"]),
        "a mean of one": Case(
            ["Mean: {axis: [1, 2], keepdims: true}", "GlobalMaxPooling2D: {keepdims: true}", "ELU"],
            ["ELU"],
            image="[1, 1, 4]",
        ),
        "to the power of 1": Case(["Power: {exponent: 1}", "ELU"], ["ELU"]),
        "relu of what is positive": Case(
            ["Activation: {activation: sigmoid}", "MaxPooling2D", "ReLU: {name: r}", "ELU"],
            ["Activation", "MaxPooling2D", "ELU"],
            "removed: max_pooling2d is never negative",
        ),
        "an output": Case(
            ["ELU: {name: e}", "Rescaling: {scale: 1, name: r}"], ["ELU"], outputs="[e, r]"
        ),
        "of an input": Case(["Rescaling: {scale: 1}"], []),
        "sizes that are not known": Case(
            ["Permute: {dims: [1, 2, 3]}", "Slice: {axis: 1}", "ELU"], ["ELU"], image="[H, W, 3]"
        ),
    },
    MergeReshapes(): {
        "flatten a reshape": Case(
            [CONV, "Reshape: {target_shape: [5, 28]}", "Flatten"], ["Conv2D", "Flatten"]
        ),
        "three reshapes": Case(
            ["Reshape: {target_shape: [63, 4]}", "Flatten", "Reshape: {target_shape: [4, 63]}"],
            ["Reshape"],
        ),
        "there and back": Case(
            ["Permute: {dims: [3, 1, 2]}", "Permute: {dims: [2, 3, 1]}", "ELU"], ["Permute", "ELU"]
        ),
        "two permutations": Case(
            ["Permute: {dims: [2, 1, 3]}", "Permute: {dims: [1, 3, 2]}"], ["Permute"]
        ),
        "squeeze and excite": Case(
            [CONV, "GlobalAveragePooling2D", "Reshape: {target_shape: [1, 1, 4]}",
             "Conv2D: {filters: 2, kernel_size: 1, activation: relu}",
             "Conv2D: {filters: 4, kernel_size: 1, activation: sigmoid, name: gate}",
             "Multiply: {inputs: [x, gate]}"],
            ["Conv2D", "GlobalAveragePooling2D", "Conv2D", "Conv2D", "Multiply"],
        ),
        "squeeze and excite with dense layers": Case(
            [CONV, "GlobalAveragePooling2D: {name: p}", "Dense: {units: 2, name: d}",
             "BatchNormalization", "ReLU", "Dense: {units: 4, activation: sigmoid}",
             "Reshape: {target_shape: [1, 1, 4], name: gate}", "Multiply: {inputs: [x, gate]}"],
            ["Conv2D", "GlobalAveragePooling2D", "Dense", "BatchNormalization", "ReLU", "Dense",
             "Multiply"],
            "put before d (Dense), where p (GlobalAveragePooling2D) keeps its axes",
        ),
        "a mean that keeps its axes": Case(
            [CONV, "Mean: {axis: [1, 2]}", "Reshape: {target_shape: [1, 1, 4]}"],
            ["Conv2D", "Mean"],
        ),
        "a mean that loses them": Case(
            [CONV, "Mean: {axis: [1, 2], keepdims: true}", "Flatten"], ["Conv2D", "Mean"]
        ),
        "a maximum of steps": Case(
            ["GlobalMaxPooling1D: {keepdims: true}", "Reshape: {target_shape: [4]}"],
            ["GlobalMaxPooling1D"],
            image="[9, 4]",
        ),
        "repeated once": Case(["RepeatVector: {n: 1}"], ["Reshape"], image="[5]"),
        "permuted, flattened, dense": Case(
            [CONV, "Permute: {dims: [2, 3, 1]}", "Flatten: {name: f}",
             "Dense: {units: 3, name: a}", "Dense: {units: 2, inputs: [f], name: b}"],
            ["Conv2D", "Flatten", "Dense", "Dense"],
            "merged with permute (Permute): kernel rows of a (Dense), b (Dense) permuted",
            outputs="[a, b]",
        ),
        "sizes that are not known": Case(
            ["Flatten", "Reshape: {target_shape: [-1, 3]}"], ["Reshape"], image="[H, W, 3]"
        ),
    },
    RecognizeActivations(): {
        "hard sigmoid": Case([CONV, SHIFT, RELU6, SIXTH], ["Conv2D", "Activation"], "hard_sigmoid"),
        "hard sigmoid as a cut": Case(
            [CONV, "Rescaling: {scale: 0.16666667, offset: 0.5}",
             "Clip: {min_value: 0, max_value: 1}"],
            ["Conv2D", "Activation"],
            "recognized as hard_sigmoid of x",
        ),
        "hard swish": Case(
            [CONV, SHIFT, RELU6, SIXTH, "Multiply: {inputs: [x, sixth]}"],
            ["Conv2D", "Activation"],
            "recognized as hard_silu of x",
        ),
        "hard swish, divided last": Case(
            [CONV, SHIFT, RELU6, "Multiply: {inputs: [cut, x]}", SIXTH],
            ["Conv2D", "Activation"],
            "recognized as hard_silu of x",
        ),
        "hard swish, divided first": Case(
            [CONV, "Rescaling: {scale: 0.16666667, name: sixth}", SHIFT, RELU6,
             "Multiply: {inputs: [sixth, cut]}"],
            ["Conv2D", "Activation"],
            "recognized as hard_silu of x",
        ),
        "hard swish of a hard sigmoid": Case(
            [CONV, "Activation: {activation: hard_sigmoid, name: h}", "Multiply: {inputs: [h, x]}"],
            ["Conv2D", "Activation"],
            "recognized as hard_silu of x",
        ),
        "silu": Case(
            [CONV, "Activation: {activation: sigmoid, name: s}", "Multiply: {inputs: [x, s]}"],
            ["Conv2D", "Activation"],
            "recognized as silu of x",
        ),
        "silu of relu": Case(
            ["ReLU: {name: r}", "Activation: {activation: sigmoid, name: s}",
             "Multiply: {inputs: [r, s]}"],
            ["ReLU", "Activation"],
            "recognized as silu of r",
        ),
        "mish": Case(
            [CONV, "Activation: {activation: softplus}", "Activation: {activation: tanh, name: t}",
             "Multiply: {inputs: [t, x]}"],
            ["Conv2D", "Activation"],
            "recognized as mish of x",
        ),
        "gelu, halved first": Case(
            [CONV, *ERF, HALF, "Multiply: {inputs: [half, e]}"],
            ["Conv2D", "Activation"],
            "recognized as gelu of x",
        ),
        "gelu, halved last": Case(
            [CONV, *ERF, "Multiply: {inputs: [x, e]}", "Rescaling: {scale: 0.5}"],
            ["Conv2D", "Activation"],
            "recognized as gelu of x",
        ),
        "gelu, halved within": Case(
            [CONV, *ERF[:2], "Rescaling: {scale: 0.5, offset: 0.5, name: e}",
             "Multiply: {inputs: [x, e]}"],
            ["Conv2D", "Activation"],
            "recognized as gelu of x",
        ),
        "gelu by tanh": Case(
            [CONV, *TANH, "Rescaling: {scale: 1, offset: 1, name: e}", HALF,
             "Multiply: {inputs: [half, e]}"],
            ["Conv2D", "Activation"],
            "recognized as gelu by tanh of x",
        ),
        "gelu by tanh, with products": Case(
            [CONV, "Multiply: {inputs: [x, x]}", "Rescaling: {scale: 0.035677408, offset: "
             "0.79788456, name: p}", "Multiply: {inputs: [p, x]}", "Activation: {activation: tanh}",
             "Rescaling: {scale: 0.5, offset: 0.5, name: e}", "Multiply: {inputs: [x, e]}"],
            ["Conv2D", "Activation"],
            "recognized as gelu by tanh of x",
        ),
        "relu6 of two cuts": Case(
            [CONV, "ReLU", "Clip: {max_value: 6}"], ["Conv2D", "ReLU"], "recognized as relu6 of x"
        ),
        "relu6 of a cut": Case(
            [CONV, "Clip: {min_value: 0, max_value: 6}"], ["Conv2D", "ReLU"], "relu6 of x"
        ),
        "cuts that do not meet": Case(
            ["Clip: {min_value: 7, max_value: 9}", "Clip: {min_value: 0, max_value: 6}",
             "Activation: {activation: relu}", "Multiply: {inputs: [activation, activation]}"],
            ["Clip", "ReLU", "Activation"],
            "recognized as square of activation",
        ),
        "hard tanh": Case(
            ["Clip: {min_value: -1, max_value: 1}"], ["Activation"], "hard_tanh of image"
        ),
        "square": Case(["Power: {exponent: 2}"], ["Activation"], "recognized as square of image"),
        "square root": Case(
            ["Activation: {activation: abs}", "Power: {exponent: 0.5}"],
            ["Activation", "Activation"],
            "recognized as sqrt of activation",
        ),
    },
    SimplifyConcatenation(): {
        "joined twice": Case(
            [CONV, "Concatenate: {inputs: [x, x]}", "ELU: {inputs: [x], name: e}",
             "Concatenate: {inputs: [concatenate, e]}"],
            ["Conv2D", "ELU", "Concatenate"],
        ),
        "joined again and again": Case(
            ["Concatenate: {inputs: [image, image], name: a}",
             "Concatenate: {inputs: [image, a], name: b}",
             "Concatenate: {inputs: [b, image], name: c}",
             "Concatenate: {inputs: [c, image], name: d}"],
            ["Concatenate"],
        ),
        "cut and joined": Case([*CUT, "Concatenate: {inputs: [a, b]}", "ELU"], ["Slice", "ELU"]),
        "cut and joined with more": Case(
            [*CUT, "Concatenate: {inputs: [image, a, b]}"],
            ["Concatenate"],
            "joins what was sliced of image",
        ),
        "a part cut and joined": Case(
            ["Slice: {axis: 1, start: 2, stop: 4, name: a}",
             "Slice: {axis: 1, start: 4, stop: 8, inputs: [image], name: b}",
             "Concatenate: {inputs: [a, b], axis: 1}"],
            ["Slice"],
        ),
        "a slice of what was joined": Case(
            ["ELU: {name: e}", "Concatenate: {inputs: [image, e]}",
             "Slice: {axis: 3, start: 5, stop: 8, step: 2}"],
            ["ELU", "Slice"],
            "merged with concatenate (Concatenate): a slice of e",
        ),
        "an input of what was joined": Case(
            ["ELU: {name: e}", "Concatenate: {inputs: [image, e], axis: 2, name: c}",
             "Slice: {axis: 2, start: 7, name: s}"],
            ["ELU", "Concatenate", "Slice"],
            outputs="[c, s]",
        ),
        "a slice of a slice": Case(
            ["Slice: {axis: 1, start: 1, step: 2}", "Slice: {axis: 1, start: -3, stop: -1}"],
            ["Slice"],
        ),
    },
}  # fmt: skip

GUARDS: dict[Pass, dict[str, Case]] = {
    RemoveIdentities(): {
        "a permutation of equal axes": Case(
            ["Permute: {dims: [2, 1, 3]}"], reason="not removed: it leaves the shape, and not the",
            image="[7, 7, 4]",
        ),
        "a slice backwards": Case(["Slice: {axis: 1, step: -1}"], reason="not the elements"),
        "a pooling that keeps the size": Case(
            ["MaxPooling2D: {pool_size: 3, strides: 1, padding: same}"]
        ),
        "a scaling": Case(["Rescaling: {scale: 1, offset: 0.5}", "Rescaling: {scale: 2}"]),
        "a relu that cuts": Case(["Activation: {activation: sigmoid}", "ReLU: {max_value: 0.5}"]),
        "a relu with a threshold": Case(
            ["Activation: {activation: sigmoid}", "ReLU: {threshold: 0.5}"]
        ),
        "a relu of anything": Case([CONV, "ReLU"]),
        "resized": Case(["Resizing: {height: 7, width: 9}", "UpSampling2D"]),
    },
    MergeReshapes(): {
        "a reshape with another user": Case(
            ["Reshape: {target_shape: [63, 4], name: r}", "Flatten: {name: f}",
             "ELU: {inputs: [r], name: e}"],
            reason="not merged with r (Reshape): r is used by e too",
            outputs="[e, f]",
        ),
        "a reshape that is an output": Case(
            ["Reshape: {target_shape: [63, 4], name: r}", "Flatten: {name: f}"],
            reason="r is the output r",
            outputs="[r, f]",
        ),
        "a pooling with another user": Case(
            [CONV, "GlobalAveragePooling2D: {name: p}", "Reshape: {target_shape: [1, 1, 4]}",
             "Multiply: {inputs: [x, reshape], name: m}", "Dense: {units: 2, inputs: [p]}"],
            reason="p is used by dense too",
            outputs="[m, dense]",
        ),
        "a reshape to other axes": Case(
            [CONV, "GlobalAveragePooling2D: {name: p}", "Reshape: {target_shape: [2, 2, 1]}"]
        ),
        "permutations of which one is free": Case(
            [CONV, "Permute: {dims: [2, 1, 3]}", "Permute: {dims: [3, 1, 2]}"],
            reason="one of the two moves no data in memory",
        ),
        "a gate with another user": Case(
            [CONV, "GlobalAveragePooling2D: {name: p}", "Dense: {units: 4, name: d}",
             "Reshape: {target_shape: [1, 1, 4]}", "Multiply: {inputs: [x, reshape], name: m}",
             "ELU: {inputs: [d], name: e}"],
            reason="not put before d (Dense): d is used by e too",
            outputs="[m, e]",
        ),
        "a gate whose weights know its shape": Case(
            [CONV, "GlobalAveragePooling2D: {name: p}", "PReLU: {name: a}",
             "Reshape: {target_shape: [1, 1, 4]}"],
            reason="not put before a (PReLU): a (PReLU) depends on the shape of its input",
        ),
        "a gate along an axis": Case(
            [CONV, "GlobalAveragePooling2D: {name: p}", "Softmax: {axis: 1, name: s}",
             "Reshape: {target_shape: [1, 1, 4]}"],
            reason="not put before s (Softmax): s (Softmax) acts along axis 1",
        ),
        "permuted, flattened, not dense": Case(
            [CONV, "Permute: {dims: [2, 3, 1]}", "Flatten: {name: f}", "LayerNormalization"],
            reason="layer_normalization (LayerNormalization) is no dense layer",
        ),
        "permuted, flattened, an output": Case(
            [CONV, "Permute: {dims: [2, 3, 1]}", "Flatten: {name: f}", "Dense: {units: 2}"],
            reason="f is an output",
            outputs="[f, dense]",
        ),
        "repeated twice": Case(["RepeatVector: {n: 2}"], image="[5]"),
    },
    RecognizeActivations(): {
        "a piece with another user": Case(
            [CONV, "Activation: {activation: sigmoid, name: s}", "Multiply: {inputs: [x, s], name: "
             "m}", "ELU: {inputs: [s], name: e}"],
            reason="not recognized as silu: s is used by e too",
            outputs="[m, e]",
        ),
        "a piece that is an output": Case(
            [CONV, "Activation: {activation: sigmoid, name: s}",
             "Multiply: {inputs: [x, s], name: m}"],
            reason="not recognized as silu: s is an output",
            outputs="[m, s]",
        ),
        "another gate": Case(
            [CONV, "Activation: {activation: sigmoid, name: s}",
             "Multiply: {inputs: [image, image, image], name: i}",
             "GlobalMaxPooling2D: {inputs: [i], keepdims: true, name: g}",
             "Multiply: {inputs: [g, s]}"],
        ),
        "other numbers": Case(
            [CONV, "Rescaling: {scale: 1, offset: 2, inputs: [x]}", RELU6, SIXTH,
             "Multiply: {inputs: [x, sixth]}"]
        ),
        "nearly the number": Case([CONV, SHIFT, RELU6, "Rescaling: {scale: 0.1667}"]),
        "another bound": Case([CONV, "ReLU", "Clip: {max_value: 5}"]),
        "a relu with a slope": Case(
            [CONV, "ReLU: {negative_slope: 0.1}", "Clip: {max_value: 6}"]
        ),
        "numbers by channel": Case(
            [CONV, "Rescaling: {scale: [1, 1, 1, 1], offset: [3, 3, 3, 3]}", RELU6, SIXTH]
        ),
        "many terms": Case(
            [CONV, "ELU: {name: e}", "Activation: {activation: tanh, name: t}",
             "Add: {inputs: [x, e, t], name: s}", "Multiply: {inputs: [s, s, s, s]}"]
        ),
    },
    SimplifyConcatenation(): {
        "joined for another user": Case(
            ["Concatenate: {inputs: [image, image], name: c}", "ELU: {name: e}",
             "Concatenate: {inputs: [c, image], name: d}"],
            reason="not joined with c (Concatenate): c is used by e too",
            outputs="[d, e]",
        ),
        "joined for an output": Case(
            ["Concatenate: {inputs: [image, image], name: c}",
             "Concatenate: {inputs: [c, image], name: d}"],
            reason="c is the output c",
            outputs="[c, d]",
        ),
        "joined along another axis": Case(
            ["Concatenate: {inputs: [image, image], axis: 1, name: c}",
             "Concatenate: {inputs: [c, c], axis: 2}"]
        ),
        "joined in another order": Case([*CUT, "Concatenate: {inputs: [b, a]}"]),
        "a part, with more": Case(
            ["Slice: {axis: 1, stop: 2, name: a}",
             "Slice: {axis: 1, start: 2, stop: 4, inputs: [image], name: b}",
             "Concatenate: {inputs: [a, b, image], axis: 1}"],
            reason="not simplified: it joins a part of image",
        ),
        "over several inputs": Case(
            ["ELU: {name: e}", "Concatenate: {inputs: [image, e], name: c}",
             "Slice: {axis: 3, start: 3, stop: 5}"],
            reason="not merged with c (Concatenate): it reaches over several inputs",
        ),
        "backwards": Case(
            ["Slice: {axis: 1, stop: 5, name: a}", "Slice: {axis: 1, step: -1}"],
            reason="a size is not known, or one of them counts backwards",
        ),
        "a size that is not known": Case(
            ["Slice: {axis: 1, start: 1, name: a}", "Slice: {axis: 1, start: 1}"],
            reason="a size is not known",
            image="[H, 7, 3]",
        ),
        "a slice along another axis": Case(
            ["Slice: {axis: 1, stop: 5}", "Slice: {axis: 2, stop: 5}"]
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


def test_squeeze_and_excite_needs_no_transpose(network: Network) -> None:
    graph = network(*FIRES[MergeReshapes()]["squeeze and excite"].layers)
    after, _ = run_passes(graph, [optimizing()])
    assert onnx_nodes(graph) - onnx_nodes(after) == 2
    assert onnx_nodes(after) == len(["Conv", "Pool", "Conv", "Relu", "Conv", "Sigmoid", "Mul"])


def test_a_shared_kernel_keeps_its_rows() -> None:
    graph = Graph("shared")
    graph.input("image", (4, 3, 2))
    graph.add(ops.Permute(dims=(3, 1, 2)), "image", name="p")
    graph.add(ops.Flatten(), "p", name="f")
    graph.add(ops.Flatten(), "image", name="g")
    graph.outputs["a"] = graph.add(ops.Dense(units=2), "f", name="a")
    weights = graph.node("a").weights
    graph.outputs["b"] = graph.add(ops.Dense(units=2), "g", name="b", weights=weights)
    found = rewrite(graph, MergeReshapes())
    assert found.reasons == [("f", "not merged with p (Permute): a shares a/kernel with b")]
    check_compiled(graph)


def test_origins_of_an_activation(network: Network) -> None:
    layers = FIRES[RecognizeActivations()]["hard swish"].layers
    found = rewrite(network(*layers), RecognizeActivations())
    assert found.origins == {"multiply": ["multiply", "sixth", "cut", "shifted"]}
    assert found.after.node("multiply").passes == ("recognize-activations",)
