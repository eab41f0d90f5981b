"""What a model file can say, and the graph that it becomes."""

# ruff: noqa: E501 (model files in strings)

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import graphcnn
from graphcnn import Graph
from graphcnn.weights import WeightStore

from .conftest import Read

IMAGE = "inputs: {image: [8, 8, 3]}\n"
EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))


def names(graph: Graph) -> list[str]:
    return [node.name for node in graph]


def inputs(graph: Graph) -> dict[str, tuple[str, ...]]:
    return {node.name: node.inputs for node in graph if node.inputs}


def option(graph: Graph, name: str, field: str) -> Any:
    return getattr(graph.node(name).op, field)


def test_a_layer_follows_the_one_above(read: Read) -> None:
    graph = read(f"{IMAGE}layers: [ReLU, ELU: , Flatten: {{}}]")
    assert inputs(graph) == {"re_lu": ("image",), "elu": ("re_lu",), "flatten": ("elu",)}
    assert graph.outputs == {"flatten": "flatten"}


def test_inputs_by_name(read: Read) -> None:
    graph = read(
        f"{IMAGE}layers:\n  - ReLU: {{name: a}}\n  - ELU: {{name: b, inputs: image}}\n"
        "  - Add: {inputs: [a, b, a]}\n  - Softmax"
    )
    assert inputs(graph)["b"] == ("image",)
    assert inputs(graph)["add"] == ("a", "b", "a")
    assert inputs(graph)["softmax"] == ("add",)


def test_several_inputs_and_outputs(read: Read) -> None:
    graph = read(
        "inputs: {left: [4, 2], right: [4, 2]}\nlayers:\n  - Add: {inputs: [left, right]}\n"
        "  - ReLU: {inputs: [left]}\noutputs: [re_lu, add]"
    )
    assert [node.name for node in graph.inputs] == ["left", "right"]
    assert list(graph.outputs.items()) == [("re_lu", "re_lu"), ("add", "add")]


def test_names_may_come_before_their_layers(read: Read) -> None:
    graph = read(
        f"{IMAGE}layers:\n  - Add: {{name: sum, inputs: [late, early]}}\n"
        "  - ReLU: {name: early, inputs: [image]}\n  - ELU: {name: late}\noutputs: [sum]"
    )
    assert names(graph) == ["image", "early", "late", "sum"]


def test_the_last_layer_written_is_the_output_even_where_another_follows_it(read: Read) -> None:
    graph = read(
        f"{IMAGE}layers:\n  - ELU: {{name: b, inputs: [a]}}\n  - ReLU: {{name: a, inputs: [image]}}\n"
        "  - Softmax: {name: c, inputs: [b]}"
    )
    assert graph.outputs == {"c": "c"}


def test_layers_without_names_are_numbered(read: Read) -> None:
    assert names(read(f"{IMAGE}layers: [ReLU, ReLU, MaxPooling2D, ReLU]")) == [
        "image", "re_lu", "re_lu_1", "max_pooling2d", "re_lu_2",
    ]  # fmt: skip


UNIT = """
blocks:
  unit:
    parameters: [filters, {kernel: 3, act: {relu: {max_value: 6}}}]
    layers:
      - Conv2D: {filters: $filters, kernel_size: $kernel, padding: same, activation: $act, name: 5x5}
      - ReLU
"""


def test_a_block(read: Read) -> None:
    graph = read(
        f"{IMAGE}{UNIT}layers:\n  - unit: {{filters: 2, name: inception_3a}}\n"
        "  - unit: {filters: 4, kernel: [1, 5], act: ~}\n  - unit: {filters: 4}"
    )
    assert names(graph) == [
        "image", "inception_3a/5x5", "inception_3a/re_lu", "unit/5x5", "unit/re_lu",
        "unit_1/5x5", "unit_1/re_lu",
    ]  # fmt: skip
    assert inputs(graph)["unit/5x5"] == ("inception_3a/re_lu",)
    assert option(graph, "unit/5x5", "kernel_size") == (1, 5)
    assert option(graph, "unit/5x5", "activation") is None
    assert option(graph, "inception_3a/5x5", "activation").max_value == 6
    location = graph.node("unit_1/5x5").location
    assert location is not None
    assert (location.line, location.column, location.scope) == (7, 9, ("unit_1",))


def test_a_block_by_its_name_alone(read: Read) -> None:
    graph = read(f"{IMAGE}blocks: {{act: {{layers: [ReLU]}}}}\nlayers: [act, act: ]")
    assert names(graph) == ["image", "act/re_lu", "act_1/re_lu"]


def test_the_name_of_a_block_is_its_result(read: Read) -> None:
    graph = read(
        f"{IMAGE}{UNIT}layers:\n  - unit: {{filters: 2, name: a}}\n  - unit: {{filters: 2, name: b}}\n"
        "  - Add: {inputs: [a, b]}\noutputs: [b, add, a, a/5x5]"
    )
    assert inputs(graph)["add"] == ("a/re_lu", "b/re_lu")
    assert list(graph.outputs.items()) == [
        ("b", "b/re_lu"), ("add", "add"), ("a", "a/re_lu"), ("a/5x5", "a/5x5"),
    ]  # fmt: skip


def test_an_output_keeps_the_name_of_its_block_in_the_file(read: Read, tmp_path: Path) -> None:
    graph = read(
        f"{IMAGE}{UNIT}layers: [unit: {{filters: 2, name: a}}, Flatten]\noutputs: [a, flatten]"
    )
    graphcnn.compile(graph, tmp_path / "a.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx", providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == ["a", "flatten"]


def test_layers_inside_a_block_are_named_from_outside(read: Read) -> None:
    graph = read(
        f"{IMAGE}{UNIT}layers:\n  - unit: {{filters: 2, name: a}}\n  - ELU: {{inputs: [a/5x5]}}\n"
        "outputs: [elu, a]"
    )
    assert inputs(graph)["elu"] == ("a/5x5",)


def test_a_block_with_several_inputs_and_an_output(read: Read) -> None:
    graph = read(
        "inputs: {p: [4], q: [4]}\nblocks:\n  gate:\n    inputs: [x, y]\n    output: product\n"
        "    layers:\n      - Multiply: {name: product, inputs: [x, open]}\n"
        "      - Activation: {activation: sigmoid, name: open, inputs: [y]}\n"
        "layers:\n  - gate: {inputs: [p, q]}\n  - ReLU"
    )
    assert names(graph) == ["p", "q", "gate/open", "gate/product", "re_lu"]
    assert inputs(graph)["gate/product"] == ("p", "gate/open")
    assert inputs(graph)["re_lu"] == ("gate/product",)


def test_the_result_of_the_last_block_is_the_output(read: Read) -> None:
    graph = read(
        f"{IMAGE}blocks:\n  b:\n    output: first\n    layers:\n"
        "      - Add: {name: first, inputs: [input, second]}\n"
        "      - ELU: {name: second, inputs: [input]}\nlayers: [b]"
    )
    assert graph.outputs == {"b/first": "b/first"}


def test_blocks_nest(read: Read) -> None:
    graph = read(
        f"{IMAGE}{UNIT}  pair:\n    parameters: [widths, {{act: relu}}]\n    layers:\n"
        "      - unit: {filters: 2, kernel: $widths, name: one, act: $act}\n"
        "      - unit: {filters: 3, name: two}\n      - Concatenate: {inputs: [one, two, one/5x5]}\n"
        "layers:\n  - pair: {widths: [5, 3], name: stage}\n  - ELU: {inputs: [stage/one]}\n"
        "outputs: [stage, elu]"
    )
    assert names(graph)[1:5] == [
        "stage/one/5x5", "stage/one/re_lu", "stage/two/5x5", "stage/two/re_lu",
    ]  # fmt: skip
    assert inputs(graph)["stage/concatenate"] == (
        "stage/one/re_lu", "stage/two/re_lu", "stage/one/5x5",
    )  # fmt: skip
    assert inputs(graph)["elu"] == ("stage/one/re_lu",)
    assert option(graph, "stage/one/5x5", "kernel_size") == (5, 3)
    location = graph.node("stage/two/5x5").location
    assert location is not None
    assert location.scope == ("stage", "stage/two")


def test_a_block_does_not_see_the_names_around_it(read: Read) -> None:
    graph = read(
        f"{IMAGE}blocks: {{b: {{inputs: [image], layers: [ReLU: {{inputs: [image]}}]}}}}\n"
        "layers: [ELU, b]"
    )
    assert inputs(graph)["b/re_lu"] == ("elu",)


def test_an_unnamed_repeat_numbers_its_names(read: Read) -> None:
    graph = read(
        f"{IMAGE}layers:\n  - Flatten\n  - repeat: 2\n    layers:\n"
        "      - Dense: {units: 4, name: fc}\n      - ReLU\n"
        "  - Add: {inputs: [fc_1, fc_2, re_lu, re_lu_1]}"
    )
    assert names(graph)[2:6] == ["fc_1", "re_lu", "fc_2", "re_lu_1"]
    assert inputs(graph)["fc_2"] == ("re_lu",)
    assert inputs(graph)["add"] == ("fc_1", "fc_2", "re_lu", "re_lu_1")


def test_a_generated_name_means_the_layer_that_has_it(read: Read) -> None:
    graph = read(
        f"{IMAGE}layers:\n  - repeat: 3\n    layers: [ReLU]\n  - Add: {{inputs: [re_lu, re_lu_1]}}\n"
        "outputs: [add, re_lu_1, re_lu_2]"
    )
    assert inputs(graph)["add"] == ("re_lu", "re_lu_1")
    assert graph.outputs["re_lu_1"] == "re_lu_1"


def test_a_named_repeat_is_a_group(read: Read) -> None:
    graph = read(
        f"{IMAGE}layers:\n  - repeat: 2\n    name: stage\n    layers:\n      - ReLU: {{name: a}}\n"
        "      - ELU: {inputs: [a]}\n  - Add: {inputs: [stage_1, stage_2, stage_1/a]}\n"
        "outputs: [add, stage_1]"
    )
    assert names(graph)[1:5] == ["stage_1/a", "stage_1/elu", "stage_2/a", "stage_2/elu"]
    assert inputs(graph)["add"] == ("stage_1/elu", "stage_2/elu", "stage_1/a")
    assert graph.outputs["stage_1"] == "stage_1/elu"


def test_repeats_nest(read: Read) -> None:
    graph = read(
        f"{IMAGE}layers:\n  - repeat: 2\n    layers:\n      - repeat: 2\n        layers:\n"
        "          - ReLU: {name: a}\n      - Add: {inputs: [a_1, a_2], name: s}\n"
        "outputs: [s_2, a_1_2]"
    )
    assert inputs(graph) == {
        "a_1_1": ("image",), "a_1_2": ("a_1_1",), "s_1": ("a_1_1", "a_1_2"),
        "a_2_1": ("s_1",), "a_2_2": ("a_2_1",), "s_2": ("a_2_1", "a_2_2"),
    }  # fmt: skip


def test_a_repeat_sees_the_names_around_it(read: Read) -> None:
    graph = read(
        f"{IMAGE}layers:\n  - ReLU: {{name: first}}\n  - repeat: 2\n    name: step\n    layers:\n"
        "      - ELU: {name: e}\n      - Add: {inputs: [first, e]}"
    )
    assert inputs(graph)["step_2/add"] == ("first", "step_2/e")
    assert inputs(graph)["step_2/e"] == ("step_1/add",)


def test_the_textbook_form(read: Read) -> None:
    """[[CONV -> ReLU] x N -> POOL?] x M -> [FC -> ReLU] x K -> FC."""
    text = """
inputs: {image: [32, 32, 3]}
blocks:
  stage:
    parameters: [n, pools]
    layers:
      - repeat: $n
        name: conv
        layers: [Conv2D: {filters: 4, kernel_size: 3, padding: same}, ReLU]
      - {repeat: $pools, layers: [MaxPooling2D]}
layers:
  - repeat: 2
    name: m
    layers: [stage: {n: 2, pools: 1}]
  - stage: {n: 1, pools: 0}
  - Flatten
  - repeat: 2
    layers: [Dense: {units: 8}, ReLU]
  - Dense: {units: 10, name: scores}
"""
    graph = read(text)
    ops = [node.op.title for node in graph][1:]
    conv = ["Conv2D", "ReLU"]
    assert ops == [
        *[*conv, *conv, "MaxPooling2D"] * 2, *conv, "Flatten", *["Dense", "ReLU"] * 2, "Dense",
    ]  # fmt: skip
    assert names(graph)[1] == "m_1/stage/conv_1/conv2d"


def test_a_repeat_of_nothing_passes_its_input_on(read: Read) -> None:
    graph = read(
        f"{IMAGE}blocks: {{b: {{parameters: [n], layers: [{{repeat: $n, layers: [ReLU]}}]}}}}\n"
        "layers:\n  - b: {n: 0, name: none}\n  - b: {n: 0}\n  - ELU\n  - Add: {inputs: [none, elu]}"
    )
    assert inputs(graph) == {"elu": ("image",), "add": ("image", "elu")}


def test_parameters_hold_anything(read: Read) -> None:
    graph = read(
        "inputs: {x: [3, 3, 1]}\nblocks:\n  c:\n    parameters: [kernel, {layer_name: k, bias: 1}]\n"
        "    layers:\n      - Conv2D:\n          filters: 1\n          kernel_size: 3\n"
        "          kernel_initializer: {constant: $kernel}\n"
        "          bias_initializer: {constant: $bias}\n          name: $layer_name\n"
        "          inputs: [input]\nlayers:\n  - c: {kernel: [[0, 0, -1], [0, 1, 0], [-2, 0, 2]]}"
    )
    weights = WeightStore.random(graph.weights, seed=0)
    kernel = weights["c/k/kernel"].load()
    np.testing.assert_array_equal(kernel[..., 0, 0], [[0, 0, -1], [0, 1, 0], [-2, 0, 2]])
    np.testing.assert_array_equal(weights["c/k/bias"].load(), [1])


def test_anchors(read: Read) -> None:
    graph = read(
        f"{IMAGE}layers:\n  - Conv2D: &conv {{filters: 2, kernel_size: 3}}\n  - Conv2D: *conv"
    )
    assert graph.node("conv2d").op == graph.node("conv2d_1").op


def test_open_sizes(read: Read) -> None:
    graph = read(
        "inputs: {image: [H, W, 3]}\nlayers:\n"
        "  - Conv2D: {filters: 4, kernel_size: 3, strides: 2, padding: 1}\n  - MaxPooling2D\n"
        "  - Conv2D: {filters: 2, kernel_size: 1}"
    )
    h, w = graph.type("image").spatial
    sizes = graph.type("conv2d_1").sizes
    assert [str(size) for size in graph.type("image").sizes] == ["H", "W", "3"]
    assert [int(s.subs({h: 224, w: 65})) if s != 2 else 2 for s in sizes] == [56, 16, 2]  # type: ignore[attr-defined]


def test_the_name_of_a_model(read: Read) -> None:
    assert read(f"{IMAGE}layers: [ReLU]").name == "model"
    assert read(f"name: fashion-mnist cnn\n{IMAGE}layers: [ReLU]").name == "fashion-mnist cnn"


def test_the_digest_of_a_model(read: Read) -> None:
    text = f"{IMAGE}layers: [ReLU]"
    assert read(text).digest == hashlib.sha256(text.encode()).hexdigest()


def test_byte_order_mark_and_windows_lines(read: Read) -> None:
    graph = read(b"\xef\xbb\xbf" + f"{IMAGE}layers:\n  - ReLU\n".replace("\n", "\r\n").encode())
    assert names(graph) == ["image", "re_lu"]


@pytest.mark.parametrize(
    ("text", "limit"),
    [("500k", 500_000), ("1.5M", 1_500_000), ("2 MiB", 2**21), ("3GB", 3 * 10**9), ("7", 7),
     ("512KiB", 2**19), ("0.29k", 290), (12, 12), ("'2TiB'", 2**41), ("1e6", 10**6)],
)  # fmt: skip
def test_budgets(read: Read, text: str | int, limit: int) -> None:
    graph = read(f"{IMAGE}layers: [ReLU]\nbudget: {{params: {text}}}")
    assert graph.budget.params == limit
    assert graph.budget.macs is None


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_same_text_gives_the_same_graph(path: Path) -> None:
    first, second = graphcnn.load(path), graphcnn.load(path)
    assert str(first) == str(second)
    assert first.digest == second.digest
    assert list(first.weights) == list(second.weights)


def test_long_chains_of_blocks(read: Read) -> None:
    """Each use names the one before, through which its name is resolved."""
    rows = ["  - b: {name: b0}"]
    rows += [f"  - b: {{name: b{i}, inputs: [b{i - 1}]}}" for i in range(1, 1500)]
    graph = read(
        f"{IMAGE}blocks: {{b: {{layers: [{{repeat: 0, layers: [ReLU]}}]}}}}\n"
        "layers:\n" + "\n".join(rows) + "\n  - ReLU: {inputs: [b1499]}"
    )
    assert inputs(graph) == {"re_lu": ("image",)}
