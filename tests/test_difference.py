"""Which layers of two models are the same, and what the difference costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import graphcnn
from graphcnn.difference import Difference, compare, open_model, pairing
from graphcnn.errors import GraphCNNError, ModelFileError
from graphcnn.onnx_file import read_onnx_file
from tests.test_onnx_file import save, zeros

EXAMPLES = Path(__file__).parents[1] / "examples"
HEAD = "inputs: {image: [16, 16, 3]}\nlayers:\n"
CONV = "  - Conv2D: {{filters: {}, kernel_size: 3{}}}\n"
TAIL = "  - Flatten\n  - Dense: {units: 10, name: scores}\n"


def graph(tmp_path: Path, layers: str) -> graphcnn.Graph:
    path = tmp_path / "m.yaml"
    path.write_text(HEAD + layers + TAIL)
    return graphcnn.load(path)


def chain(tmp_path: Path, *filters: int, names: str = "") -> graphcnn.Graph:
    """Convolutions of so many filters, with names that begin so, or without."""
    given = [f", name: {names}{i}" if names else "" for i in range(len(filters))]
    return graph(tmp_path, "".join(map(CONV.format, filters, given)))


def kinds(difference: Difference) -> dict[str, str]:
    return {change.layer.name: change.kind for change in difference.layers}


def changed(difference: Difference, name: str) -> dict[str, tuple[str | None, str | None]]:
    """What differs of one layer."""
    (found,) = [change for change in difference.layers if change.layer.name == name]
    return {item.what: (item.old, item.new) for item in found.changes}


@pytest.mark.parametrize("name", ["googlenet", "cifar10_batchnorm", "small_convnet"])
def test_a_model_does_not_differ_from_itself(name: str) -> None:
    model = graphcnn.load(EXAMPLES / f"{name}.yaml")
    difference = compare(model, graphcnn.load(EXAMPLES / f"{name}.yaml"))
    assert not difference
    assert difference.unchanged == len(model)
    assert difference.old_costs == difference.new_costs


def test_totals_are_those_of_the_summaries(tmp_path: Path) -> None:
    a, b = chain(tmp_path, 4, 8), chain(tmp_path, 4, 8, 8)
    difference = compare(a, b)
    for model, costs in ((a, difference.old_costs), (b, difference.new_costs)):
        summary = graphcnn.summarize(model)
        assert costs.params == summary.total_params
        assert costs.macs == summary.macs
        assert costs.activation_bytes == summary.peak.bytes
        assert costs.bytes == summary.model_bytes
    for key, total in (("params", "params"), ("macs", "macs"), ("bytes", "bytes")):
        by_layer = sum(
            getattr(change.new_costs, key) - getattr(change.old_costs, key)
            for change in difference.layers
        )
        old, new = getattr(difference.old_costs, total), getattr(difference.new_costs, total)
        assert by_layer == new - old != 0


def test_an_argument_is_changed(tmp_path: Path) -> None:
    difference = compare(chain(tmp_path, 4, 8, names="c"), chain(tmp_path, 4, 6, names="c"))
    assert kinds(difference) == {"c1": "changed", "flatten": "changed", "scores": "changed"}
    assert changed(difference, "c1") == {
        "filters": ("8", "6"),
        "output": ("float32[N, 12, 12, 8]", "float32[N, 12, 12, 6]"),
    }
    assert changed(difference, "scores") == {}
    scores = difference.layers[-1]
    assert scores.new_costs.params - scores.old_costs.params == -2 * 144 * 10


def test_a_layer_put_in_renumbers_the_ones_after_it(tmp_path: Path) -> None:
    difference = compare(chain(tmp_path, 4, 8, 12), chain(tmp_path, 4, 6, 8, 12))
    assert kinds(difference)["conv2d_1"] == "added"
    assert changed(difference, "conv2d_2")["name"] == ("conv2d_1", "conv2d_2")
    assert changed(difference, "conv2d_2")["inputs"] == ("conv2d", "conv2d_1")
    assert changed(difference, "conv2d_3")["name"] == ("conv2d_2", "conv2d_3")
    assert "inputs" not in changed(difference, "conv2d_3")
    assert "removed" not in kinds(difference).values()


def test_chosen_names_tell_layers_apart_from_their_likes(tmp_path: Path) -> None:
    difference = compare(chain(tmp_path, 4, 8, names="c"), chain(tmp_path, 8, names="c"))
    assert kinds(difference)["c0"] == "changed"
    assert kinds(difference)["c1"] == "removed"
    assert [change.layer.name for change in difference.layers][:2] == ["c0", "c1"]


def test_renamed_layers_are_recognised(tmp_path: Path) -> None:
    difference = compare(chain(tmp_path, 4, 8, 4, names="a"), chain(tmp_path, 4, 8, 4, names="b"))
    assert kinds(difference) == dict.fromkeys(("b0", "b1", "b2"), "renamed")
    assert changed(difference, "b1") == {"name": ("a1", "b1")}


def test_renamed_layers_about_a_changed_one(tmp_path: Path) -> None:
    difference = compare(
        chain(tmp_path, 4, 8, 4, 4, names="a"), chain(tmp_path, 4, 6, 4, 4, names="b")
    )
    found = kinds(difference)
    assert (found["b0"], found["a1"], found["b1"]) == ("renamed", "removed", "added")
    assert changed(difference, "b2") == {"name": ("a2", "b2"), "inputs": ("a1", "b1")}
    assert changed(difference, "b3") == {"name": ("a3", "b3")}


def test_a_layer_elsewhere_is_not_a_renamed_one(tmp_path: Path) -> None:
    a = graph(tmp_path, "  - ReLU: {name: first}\n  - Conv2D: {filters: 2, kernel_size: 1}\n")
    b = graph(tmp_path, "  - Conv2D: {filters: 2, kernel_size: 1}\n  - ReLU: {name: last}\n")
    found = kinds(compare(a, b))
    assert (found["first"], found["last"]) == ("removed", "added")


def test_another_operator_under_the_same_name(tmp_path: Path) -> None:
    a = graph(tmp_path, "  - MaxPooling2D: {name: pool}\n")
    b = graph(tmp_path, "  - AveragePooling2D: {name: pool, strides: 2}\n")
    difference = compare(a, b)
    assert changed(difference, "pool") == {
        "operator": ("MaxPooling2D()", "AveragePooling2D(strides=2)")
    }


def test_inputs_and_outputs(tmp_path: Path) -> None:
    a = graph(tmp_path, "  - ReLU: {name: a}\n  - Softmax: {name: b}\n  - Add: {inputs: [a, b]}\n")
    b = graph(tmp_path, "  - ReLU: {name: a}\n  - Softmax: {name: b}\n  - Add: {inputs: [b, a]}\n")
    difference = compare(a, b)
    assert changed(difference, "add") == {"inputs": ("a, b", "b, a")}
    b.outputs = {"scores": "scores", "middle": "a"}
    (fact,) = compare(a, b).facts
    assert (fact.what, fact.old, fact.new) == ("outputs", "scores", "scores, middle=a")


def test_a_shared_weight_counts_once() -> None:
    def twins(shared: bool) -> graphcnn.Graph:
        model = graphcnn.Graph("g")
        x = model.input("x", (4,))
        one = model.add(graphcnn.ops.Dense(units=4), x, name="one")
        weights = {"kernel": "one/kernel"} if shared else {}
        model.outputs["two"] = model.add(
            graphcnn.ops.Dense(units=4), one, name="two", weights=weights
        )
        return model

    difference = compare(twins(False), twins(True))
    assert changed(difference, "two") == {"weights.kernel": (None, "one/kernel")}
    (change,) = difference.layers
    assert (change.old_costs.bytes, change.new_costs.bytes) == (80, 16)
    assert (change.old_costs.params, change.new_costs.params) == (20, 4)


def test_alignment_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = chain(tmp_path, 4, 8, 12), chain(tmp_path, 4, 6, 8, 12)
    monkeypatch.setattr(pairing, "_MOST_WORK", 0)
    found = kinds(compare(a, b))
    assert (found["conv2d_1"], found["conv2d_3"]) == ("changed", "added")


def onnx_model(tmp_path: Path, name: str, **nodes: Any) -> Path:
    from onnx import helper

    made = [helper.make_node(*arguments, name=key) for key, arguments in nodes.items()]
    weights = {"w": zeros(4, 3, 3, 3), "v": zeros(6, 4, 1, 1)}
    return save(tmp_path / name, made, weights, {"x": ["N", 3, 8, 8]}, ["y"])


def test_files_of_other_tools(tmp_path: Path) -> None:
    conv = ("Conv", ["x", "w"], ["c"])
    a = onnx_model(tmp_path, "a.onnx", c=conv, y=("Relu", ["c"], ["y"]))
    b = onnx_model(
        tmp_path, "b.onnx", c=conv, d=("Conv", ["c", "v"], ["d"]), y=("Relu", ["d"], ["y"])
    )
    difference = compare(read_onnx_file(a), read_onnx_file(b))
    assert kinds(difference) == {"d": "added", "y": "changed"}
    assert changed(difference, "y") == {
        "inputs": ("c", "d"),
        "output": ("float32[N, 4, 6, 6]", "float32[N, 6, 6, 6]"),
    }
    added = difference.layers[0]
    assert (added.new_costs.macs, added.new_costs.params) == (36 * 24, 24)
    assert difference.new_costs.bytes == b.stat().st_size
    assert not compare(read_onnx_file(a), read_onnx_file(a))


def test_an_open_batch_has_no_name(tmp_path: Path) -> None:
    a = onnx_model(tmp_path, "a.onnx", c=("Conv", ["x", "w"], ["y"]))
    raw = a.read_bytes()
    a.with_name("b.onnx").write_bytes(raw.replace(b"\x12\x01N", b"\x12\x01B"))
    b = read_onnx_file(a.with_name("b.onnx"))
    assert b.inputs[0].shape == ("B", 3, 8, 8)
    assert not compare(read_onnx_file(a), b)


def test_compiled_files(tmp_path: Path) -> None:
    paths = []
    for name, filters in (("a", (4, 8, 12)), ("b", (4, 6, 8, 12))):
        paths.append(tmp_path / f"{name}.onnx")
        graphcnn.compile(chain(tmp_path, *filters), paths[-1], verify=False)
    difference = compare(*map(read_onnx_file, paths))
    assert kinds(difference)["conv2d_2"] == "added"
    assert changed(difference, "conv2d_1")["weights"] == ("[8x4x3x3, 8]", "[6x4x3x3, 6]")
    assert changed(difference, "scores")["weights"] == ("[10x1200, 10]", "[10x768, 10]")
    assert changed(difference, "conv2d_3")["name"] == ("conv2d_2", "conv2d_3")
    assert difference.facts == ()


def test_kinds_do_not_mix(tmp_path: Path) -> None:
    model = chain(tmp_path, 4)
    graphcnn.compile(model, tmp_path / "m.onnx", verify=False)
    with pytest.raises(ModelFileError, match="one is a model file and the other"):
        compare(model, read_onnx_file(tmp_path / "m.onnx"))


def test_models_are_opened_by_their_ending(tmp_path: Path) -> None:
    model = chain(tmp_path, 4)
    graphcnn.compile(model, tmp_path / "m.ONNX", verify=False)
    assert not isinstance(open_model(tmp_path / "m.ONNX"), graphcnn.Graph)
    opened = open_model(tmp_path / "m.yaml", {"image": (32, 32, 3)})
    assert isinstance(opened, graphcnn.Graph)
    assert opened.type("image").sizes == (32, 32, 3)
    with pytest.raises(GraphCNNError):
        open_model(tmp_path / "absent.yaml")
