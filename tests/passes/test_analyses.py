"""Memory, receptive fields and totals, against numbers computed by hand and published ones."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

import graphcnn
from graphcnn import Graph
from graphcnn.budget import Budget
from graphcnn.errors import CheckFailed
from graphcnn.ops import Add, Conv2D, Dense, Flatten, ReLU
from graphcnn.passes import peak_memory, receptive_fields, summarize
from graphcnn.passes.budget import enforce_budget

from .conftest import Network

EXAMPLES = Path(__file__).parents[2] / "examples"


def timeline(graph: Graph) -> dict[str, int]:
    """The live elements while each layer runs."""
    return {name: size // 4 for name, size in peak_memory(graph).timeline.items()}


def test_memory_of_a_chain(network: Network) -> None:
    graph = network("Dense: {units: 5, name: a}", "Dense: {units: 2, name: b}", image="[3]")
    assert timeline(graph) == {"image": 3, "a": 3 + 5, "b": 5 + 2}
    assert (peak_memory(graph).node, peak_memory(graph).bytes) == ("a", 32)


def test_memory_of_a_branch(network: Network) -> None:
    graph = network(
        "Dense: {units: 5, name: a}", "Dense: {units: 2, name: b}",
        "Dense: {units: 5, name: c}", "Add: {inputs: [a, c], name: d}", image="[3]",
    )  # fmt: skip
    assert timeline(graph) == {
        "image": 3, "a": 3 + 5, "b": 5 + 2, "c": 5 + 2 + 5, "d": 5 + 5 + 5,
    }  # fmt: skip


def test_memory_of_views(network: Network) -> None:
    graph = network(
        "Conv2D: {filters: 2, kernel_size: 1, name: c}", "Dropout: {rate: 0.5, name: d}",
        "Flatten: {name: f}", "Dense: {units: 1, name: e}", image="[2, 2, 3]",
    )  # fmt: skip
    assert timeline(graph) == {"image": 12, "c": 12 + 8, "d": 8, "f": 8, "e": 8 + 1}


def test_a_view_keeps_its_value_alive(network: Network) -> None:
    graph = network(
        "Dense: {units: 4, name: a}", "Dropout: {rate: 0.1, name: view}",
        "Dense: {units: 1, name: b, inputs: [a]}", "Dense: {units: 4, name: c}",
        "Add: {inputs: [view, c]}", image="[2]",
    )  # fmt: skip
    assert timeline(graph) == {
        "image": 2, "a": 2 + 4, "view": 4, "b": 4 + 1, "c": 4 + 1 + 4, "add": 4 + 4 + 4,
    }  # fmt: skip


def test_outputs_stay(network: Network) -> None:
    layers = (
        "Dense: {units: 9, name: a}",
        "Dense: {units: 1, name: b}",
        "Dense: {units: 1, name: c}",
    )
    assert timeline(network(*layers, image="[1]"))["c"] == 2
    assert timeline(network(*layers, image="[1]", outputs="[a, c]"))["c"] == 11


def test_all_inputs_live_from_the_start() -> None:
    graph = Graph()
    graph.input("x", [3])
    graph.input("late", [10])
    graph.add(Dense(units=10), "x", name="a")
    graph.outputs["s"] = graph.add(Add(), ["a", "late"], name="s")
    assert timeline(graph) == {"x": 13, "late": 13, "a": 23, "s": 30}


def test_memory_of_open_sizes(network: Network) -> None:
    peak = peak_memory(network("ReLU", image="[H, W, 3]"))
    assert (peak.bytes, peak.node, peak.timeline) == (None, None, {})


def test_vgg16_peaks_where_it_is_known_to() -> None:
    """Two maps of 224x224x64 float32 are live in the second convolution."""
    peak = peak_memory(graphcnn.load(EXAMPLES / "vgg16.yaml"))
    assert (peak.bytes, peak.node) == (2 * 224 * 224 * 64 * 4, "block1/conv_2")


def field(graph: Graph, name: str) -> tuple[int, int | Fraction | None, int | Fraction]:
    """Size, stride and offset along the first axis."""
    found = receptive_fields(graph)[name]
    assert found is not None
    return found.size[0], found.stride and found.stride[0], found.offset[0]


def test_fields_of_vgg16_are_the_published_ones() -> None:
    graph = graphcnn.load(EXAMPLES / "vgg16.yaml")
    sizes = {n: field(graph, f"block{n}/pool")[:2] for n in range(1, 6)}
    assert sizes == {1: (6, 2), 2: (16, 4), 3: (44, 8), 4: (100, 16), 5: (212, 32)}


def test_fields_of_alexnet_are_the_published_ones(network: Network) -> None:
    graph = network(
        "Conv2D: {filters: 1, kernel_size: 11, strides: 4, name: conv1}",
        "MaxPooling2D: {pool_size: 3, strides: 2, name: pool1}",
        "Conv2D: {filters: 1, kernel_size: 5, padding: 2, name: conv2}",
        "MaxPooling2D: {pool_size: 3, strides: 2, name: pool2}",
        *(f"Conv2D: {{filters: 1, kernel_size: 3, padding: 1, name: conv{i}}}" for i in (3, 4, 5)),
        "MaxPooling2D: {pool_size: 3, strides: 2, name: pool5}", image="[227, 227, 3]",
    )  # fmt: skip
    assert field(graph, "conv5") == (163, 16, -64)
    assert field(graph, "pool5") == (195, 32, -64)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        ("Conv2D: {filters: 1, kernel_size: 3}", (3, 1, 0)),
        ("Conv2D: {filters: 1, kernel_size: 3, padding: same}", (3, 1, -1)),
        ("Conv2D: {filters: 1, kernel_size: 3, dilation_rate: 2}", (5, 1, 0)),
        ("Conv2D: {filters: 1, kernel_size: 3, strides: 2, padding: same}", (3, 2, 0)),
        ("Conv2D: {filters: 1, kernel_size: 4, padding: same}", (4, 1, -1)),
        ("Conv2D: {filters: 1, kernel_size: 5, padding: [[3, 0], 1]}", (5, 1, -3)),
        ("MaxPooling2D: {pool_size: 3, strides: 1}", (3, 1, 0)),
        ("AveragePooling2D", (2, 2, 0)),
        ("SeparableConv2D: {filters: 1, kernel_size: 3}", (3, 1, 0)),
        ("DepthwiseConv2D: {kernel_size: 3, strides: 3}", (3, 3, 0)),
        ("ZeroPadding2D: {padding: [[2, 1], 0]}", (1, 1, -2)),
        ("Cropping2D: {cropping: 2}", (1, 1, 2)),
        ("UpSampling2D: {size: 2}", (1, Fraction(1, 2), Fraction(-1, 2))),
        ("BatchNormalization", (1, 1, 0)),
        ("Softmax", (1, 1, 0)),
        ("Dense: {units: 2}", (1, 1, 0)),
        ("Flatten", (8, None, 0)),
        ("GlobalMaxPooling2D", (8, None, 0)),
    ],
)
def test_field_of_one_layer(network: Network, layer: str, expected: object) -> None:
    graph = network(layer)
    assert field(graph, list(graph)[-1].name) == expected


def test_field_of_a_stack(network: Network) -> None:
    graph = network(*(f"Conv2D: {{filters: 1, kernel_size: 3, name: c{i}}}" for i in range(3)))
    assert [field(graph, f"c{i}")[0] for i in range(3)] == [3, 5, 7]
    graph = network(
        "Conv2D: {filters: 1, kernel_size: 3, strides: 2, padding: same, name: a}",
        "Conv2D: {filters: 1, kernel_size: 3, padding: same, name: b}",
    )
    assert field(graph, "b") == (7, 2, -2)


def test_field_of_a_transposed_convolution(network: Network) -> None:
    """With kernel 4 and stride 2, output p takes the inputs (p - 3) / 2 to p / 2: two of them."""
    graph = network("Conv2DTranspose: {filters: 1, kernel_size: 4, strides: 2, name: t}")
    assert field(graph, "t") == (2, Fraction(1, 2), Fraction(-3, 2))


def test_field_of_a_merge_is_the_hull(network: Network) -> None:
    graph = network(
        "Conv2D: {filters: 3, kernel_size: 3, padding: same, name: a}",
        "Conv2D: {filters: 3, kernel_size: 5, padding: [[4, 0], 2], name: b, inputs: [image]}",
        "Add: {inputs: [a, b], name: s}",
    )
    assert field(graph, "s") == (6, 1, -4)


def test_both_axes(network: Network) -> None:
    graph = network("Conv2D: {filters: 1, kernel_size: [3, 5], strides: [2, 1], name: c}")
    found = receptive_fields(graph)["c"]
    assert found is not None
    assert (found.size, found.stride) == ((3, 5), (2, 1))


@pytest.mark.parametrize(("axis", "stride"), [(-1, (1, 1)), (3, (1, 1)), (1, None), (2, None)])
def test_a_softmax_along_positions_depends_on_all(
    network: Network, axis: int, stride: tuple[int, int] | None
) -> None:
    graph = network("Conv2D: {filters: 2, kernel_size: 3}", f"Softmax: {{axis: {axis}, name: s}}")
    found = receptive_fields(graph)["s"]
    assert found is not None
    assert found.stride == stride


def test_no_field_without_spatial_axes(network: Network) -> None:
    assert set(receptive_fields(network("Dense: {units: 2}", image="[3]")).values()) == {None}


def test_totals() -> None:
    graph = Graph("totals")
    graph.input("x", [8, 8, 3])
    graph.add(Conv2D(filters=4, kernel_size=3), "x", name="c")
    graph.add(ReLU(), "c", name="r")
    graph.add(Flatten(), "r", name="f")
    graph.outputs["d"] = graph.add(Dense(units=10), "f", name="d")
    found = summarize(graph)
    rows = {layer.name: layer for layer in found.layers}
    assert (rows["c"].params, rows["c"].macs, rows["c"].flops) == (112, 3888, 2 * 3888 + 144)
    assert (rows["r"].params, rows["r"].macs, rows["r"].flops) == (0, 0, 144)
    assert (rows["f"].activation_bytes, rows["c"].activation_bytes) == (0, 576)
    assert (rows["d"].params, rows["d"].macs) == (1450, 1440)
    assert (found.total_params, found.macs, found.model_bytes) == (1562, 5328, 6248)
    assert (found.trainable_params, found.non_trainable_params) == (1562, 0)


def test_shared_weights_count_once() -> None:
    graph = Graph()
    graph.input("x", [4])
    graph.add(Dense(units=4), "x", name="a")
    graph.add(Dense(units=4), "a", name="b", weights={"kernel": "a/kernel"})
    graph.outputs["b"] = "b"
    found = summarize(graph)
    assert [layer.params for layer in found.layers] == [0, 20, 4]
    assert [layer.macs for layer in found.layers] == [0, 16, 16]
    assert (found.total_params, found.model_bytes) == (24, 96)


def test_what_training_leaves_alone(network: Network) -> None:
    found = summarize(network("BatchNormalization"))
    assert (found.trainable_params, found.non_trainable_params) == (6, 6)


def test_budget(network: Network) -> None:
    graph = network("Flatten", "Dense: {units: 5, name: small}", "Dense: {units: 50, name: big}")
    found = summarize(graph)
    enforce_budget(Budget(), found)
    enforce_budget(Budget(params=found.total_params), found)  # type: ignore[arg-type]
    over = Budget(params=1000, macs=10, peak_activation_bytes=10**9, model_bytes="6KB")  # type: ignore[arg-type]
    with pytest.raises(CheckFailed) as caught:
        enforce_budget(over, found)
    assert caught.value.exit_code == 1
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert "params is 1,265" in lines[0]
    assert "over the limit of 1,000; most in small" in lines[0]
    assert "macs is 1,210" in lines[1]


def test_budget_of_open_sizes(network: Network) -> None:
    found = summarize(network("Conv2D: {filters: 1, kernel_size: 1}", image="[H, W, 3]"))
    enforce_budget(Budget(params=4), found)  # type: ignore[arg-type]
    with pytest.raises(CheckFailed, match="macs depends on sizes that are not known"):
        enforce_budget(Budget(macs=4), found)  # type: ignore[arg-type]
