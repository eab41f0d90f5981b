"""Model files and .onnx files, ours and of other tools."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import graphcnn
from graphcnn.comparison import ROUNDED, Tolerance
from graphcnn.errors import ErrorGroup, GraphCNNError, RuntimeFailure, VerificationError
from graphcnn.graph import Graph
from graphcnn.ops import Add, Concatenate, Conv2D, Dense, Flatten
from graphcnn.verification import models, verify
from tests.runtime.models import edit_metadata

MODEL = """
name: tiny
inputs: {image: [8, 8, 3]}
layers:
  - Conv2D: {filters: 8, kernel_size: 3, padding: same, activation: relu, name: conv}
  - MaxPooling2D: {pool_size: 2, name: pool}
  - Conv2D: {filters: 5, kernel_size: 3, name: second}
  - Flatten: {name: flat}
  - Dense: {units: 10, activation: softmax, name: scores}
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "tiny.yaml").write_text(MODEL)
    return tmp_path / "tiny.yaml"


@pytest.fixture
def compiled(model: Path) -> Path:
    return compile_(model, "tiny.onnx")


def compile_(model: Path, name: str, **options: Any) -> Path:
    path = model.with_name(name)
    graphcnn.compile(graphcnn.load(model), path, **options)
    return path


def edit_weight(path: Path, name: str, change: Callable[[np.ndarray], Any]) -> Path:
    """Change one weight of a file, in a copy."""
    found = onnx.load(path)
    tensor = next(item for item in found.graph.initializer if item.name == name)
    array = numpy_helper.to_array(tensor).copy()
    tensor.CopyFrom(numpy_helper.from_array(np.asarray(change(array), array.dtype), name))
    onnx.save(found, path.with_name("edited.onnx"))
    return path.with_name("edited.onnx")


def names(report: graphcnn.VerifyReport) -> list[str]:
    assert report.layers is not None
    return [layer.name for layer in report.layers]


def test_equal(model: Path, compiled: Path) -> None:
    report = verify(model, compiled, per_layer=True)
    assert report.equal
    assert report.first is None
    assert names(report) == ["conv", "pool", "second", "flat", "scores"]
    assert {layer.samples for layer in report.layers or ()} == {8}
    (output,) = report.outputs
    assert (output.name, output.sizes, output.same_argmax) == ("scores", (10,), 8)
    assert report.skipped == ()
    assert "weights random, seed 0" in report.engines[0]


def test_each_layer_is_put_in_its_logical_order(model: Path, compiled: Path) -> None:
    """A channels-last file, a channels-first one and a flattened value agree layer by layer."""
    last = compile_(model, "last.onnx", input_layout="nhwc")
    report = verify(last, compiled, per_layer=True)
    assert report.equal
    sizes = {layer.name: layer.sizes for layer in report.layers or ()}
    assert sizes["conv"] == (8, 8, 8)
    assert sizes["flat"] == (20,)


def test_flattened_pieces_are_put_in_order(tmp_path: Path) -> None:
    """A value joined of two flattened ones, which channels-first files hold piece by piece."""
    graph = Graph("pieces")
    image = graph.input("image", (4, 4, 2))
    parts = [graph.add(Conv2D(filters=n, kernel_size=2), image, name=f"conv{n}") for n in (3, 4)]
    flat = [graph.add(Flatten(), part) for part in parts]
    joined = graph.add(Concatenate(), flat, name="joined")
    graph.outputs["scores"] = graph.add(Dense(units=2), joined, name="scores")
    graphcnn.compile(graph, tmp_path / "first.onnx")
    graphcnn.compile(graph, tmp_path / "last.onnx", input_layout="nhwc", taps=["joined"])
    taps = onnx.load(tmp_path / "last.onnx")
    kept = [value for value in taps.graph.output if value.name == "scores"]
    del taps.graph.output[:]
    taps.graph.output.extend(kept)
    onnx.save(taps, tmp_path / "last.onnx")
    report = verify(tmp_path / "first.onnx", tmp_path / "last.onnx", per_layer=True)
    assert "joined" in names(report)
    assert report.equal


def test_the_first_layer_that_differs_is_named(model: Path, compiled: Path) -> None:
    edited = edit_weight(compiled, "second/bias", lambda array: array + 0.1 * np.eye(5)[2])
    report = verify(model, edited, per_layer=True)
    assert not report.equal
    assert report.first is not None
    assert report.first.name == "second"
    assert report.first.where == f"{model.name}:7:5"
    assert report.first.largest_absolute == pytest.approx(0.1, rel=1e-5)
    within = {layer.name: layer.within for layer in report.layers or ()}
    assert within == {"conv": True, "pool": True, "second": False, "flat": False, "scores": False}


def test_what_a_pass_has_split_off_is_not_the_layer(tmp_path: Path) -> None:
    """Of a scaling before a padded convolution the shift alone stays in the file."""
    path = tmp_path / "shift.yaml"
    path.write_text(
        """
inputs: {image: [6, 6, 3]}
layers:
  - Rescaling: {scale: 0.5, offset: -1, name: scaled}
  - Conv2D: {filters: 2, kernel_size: 3, padding: same, name: conv}
"""
    )
    report = verify(path, compile_(path, "shift.onnx"), per_layer=True)
    assert report.equal
    assert "conv" in names(report)


def test_a_tolerance_can_be_wide(compiled: Path) -> None:
    edited = edit_weight(compiled, "second/bias", lambda array: array + 1e-3)
    assert not verify(compiled, edited, rtol=0, atol=1e-7).equal
    assert verify(compiled, edited, rtol=0, atol=1e-2).equal


def test_nan(model: Path, compiled: Path) -> None:
    edited = edit_weight(compiled, "conv/bias", lambda array: array * np.nan)
    report = verify(model, edited, per_layer=True, atol=100)
    assert not report.equal
    assert report.outputs[0].nan == (0, 80)
    assert report.first is not None
    assert report.first.name == "conv"


def test_weights_are_given_by_side(model: Path, compiled: Path) -> None:
    weights = model.with_suffix(".safetensors")
    graphcnn.WeightStore.random(graphcnn.load(model).weights, 0).save(weights)
    assert verify(model, compiled, weights_a=weights, seed=3).equal
    assert verify(compiled, model, weights_b=weights, seed=3).equal
    assert not verify(model, compiled, seed=3).equal
    with pytest.raises(VerificationError, match="has its own weights"):
        verify(model, compiled, weights_b=weights)


def test_a_graph_in_memory(model: Path, compiled: Path) -> None:
    graph = graphcnn.load(model)
    before = str(graph)
    assert verify(graph, compiled).equal
    assert str(graph) == before


def test_a_budget_is_not_what_is_verified(model: Path, compiled: Path) -> None:
    model.write_text(MODEL + "budget: {params: 10}\n")
    assert verify(model, compiled).equal


def test_batches_do_not_matter(
    model: Path, compiled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the batch, and one that a file fixes, the numbers are those of the same samples."""
    edited = edit_weight(compiled, "second/bias", lambda array: array + 0.5)
    fixed = compile_(model, "fixed.onnx", batch=3)
    whole = verify(edited, compiled, per_layer=True, random=7)
    monkeypatch.setattr(models, "_MOST_SAMPLES", 2)
    monkeypatch.setattr(models, "_LAYER_BYTES", 4000)
    for other in (compiled, fixed):
        found = verify(edited, other, per_layer=True, random=7)
        assert names(found) == names(whole)
        for one, two in zip(found.layers or (), whole.layers or (), strict=True):
            assert one.samples == two.samples == 7
            assert one.largest_absolute == pytest.approx(two.largest_absolute, rel=1e-3, abs=1e-6)


def test_layers_run_in_parts(compiled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_LAYER_BYTES", 1)
    seen: list[tuple[int, int]] = []
    report = verify(compiled, compiled, per_layer=True, progress=lambda *at: seen.append(at))
    assert report.equal
    assert len(report.layers or ()) == 5
    assert seen[-1] == (40, 40)


def test_external_data(model: Path, compiled: Path) -> None:
    apart = compile_(model, "apart.onnx", external_data="always")
    assert verify(apart, compiled, per_layer=True).equal


def test_several_inputs_and_outputs_by_name(tmp_path: Path) -> None:
    for path, order in (("a.onnx", ("left", "right")), ("b.onnx", ("right", "left"))):
        graph = Graph("two")
        for name in order:
            graph.input(name, (4,))
        graph.outputs["sum"] = graph.add(Add(), ["left", "right"], name="sum")
        graph.outputs["twice"] = graph.add(Add(), ["left", "left"], name="twice")
        if path == "b.onnx":
            graph.outputs = dict(reversed([*graph.outputs.items()]))
        graphcnn.compile(graph, tmp_path / path)
    report = verify(tmp_path / "a.onnx", tmp_path / "b.onnx")
    assert report.equal
    assert [(item.name, item.other) for item in report.outputs] == [
        ("sum", "sum"),
        ("twice", "twice"),
    ]


def test_open_sizes(tmp_path: Path) -> None:
    """One side's sizes are taken, else the first that both can run."""
    text = "inputs: {image: [H, W, 3]}\nlayers: [Conv2D: {filters: 2, kernel_size: K}]\n"
    (tmp_path / "small.yaml").write_text(text.replace("K", "3"))
    (tmp_path / "large.yaml").write_text(text.replace("K", "[70, 1]"))
    (tmp_path / "fixed.yaml").write_text(text.replace("K", "3").replace("H, W", "9, 11"))
    both = verify(tmp_path / "small.yaml", tmp_path / "small.yaml", random=1)
    assert both.outputs[0].sizes == (62, 62, 2)
    other = verify(tmp_path / "small.yaml", tmp_path / "fixed.yaml", random=1, per_layer=True)
    assert other.outputs[0].sizes == (7, 9, 2)
    assert other.equal
    large = verify(tmp_path / "large.yaml", tmp_path / "large.yaml", random=1)
    assert large.outputs[0].sizes == (155, 224, 2)


def foreign(
    path: Path,
    compiled: Path,
    *,
    rename: Callable[[str], str] = "StatefulPartitionedCall/tiny/{}/Op:0".format,
) -> Path:
    """The compiled file as another tool would write it: channels last, its own value names."""
    found = onnx.load(compiled)
    graph = found.graph
    held = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        node.doc_string = ""
        node.input[:] = [
            name if name in held or name == "image" else rename(name) for name in node.input
        ]
        node.output[:] = [rename(name) for name in node.output]
    last = graph.node[-1].output[0]
    graph.output[0].name = last
    turned = helper.make_node("Transpose", ["photo"], ["image"], perm=[0, 3, 1, 2])
    nodes = [turned, *graph.node]
    del graph.node[:], graph.input[:], found.metadata_props[:]
    graph.node.extend(nodes)
    graph.input.append(
        helper.make_tensor_value_info("photo", onnx.TensorProto.FLOAT, ["n", 8, 8, 3])
    )
    onnx.save(found, path)
    return path


def test_a_file_of_another_tool(tmp_path: Path, model: Path, compiled: Path) -> None:
    """Layers are found in paths; conv has 8 channels of 8x8, so that its order is told by value."""
    theirs = foreign(tmp_path / "theirs.onnx", compiled)
    report = verify(model, theirs, per_layer=True)
    assert report.equal
    found = {layer.name: layer for layer in report.layers or ()}
    assert {"conv", "pool", "second"} <= found.keys()
    assert "scores" not in found, "an output is compared as that"
    assert found["conv"].other == "StatefulPartitionedCall/tiny/conv/Op:0"
    assert not found["conv"].certain
    assert found["conv"].within
    assert verify(theirs, model, per_layer=True).equal


def test_the_first_layer_in_a_file_of_another_tool(
    tmp_path: Path, model: Path, compiled: Path
) -> None:
    edited = edit_weight(compiled, "second/bias", lambda array: array + 0.5)
    report = verify(model, foreign(tmp_path / "theirs.onnx", edited), per_layer=True)
    assert report.first is not None
    assert report.first.name == "second"
    assert report.first.where == "tiny.yaml:7:5"


def test_folders_that_tensorflow_has_numbered(tmp_path: Path, model: Path, compiled: Path) -> None:
    """The layer ``conv_1`` is in ``conv_1_1`` where the layer ``conv`` is in ``conv_1``."""
    model.write_text(MODEL.replace("second", "conv_1"))
    theirs = foreign(
        tmp_path / "theirs.onnx", compile_(model, "new.onnx"), rename="tiny_1/{}_1/Op:0".format
    )
    report = verify(model, theirs, per_layer=True)
    found = {layer.name: layer for layer in report.layers or ()}
    assert found["conv"].other == "tiny_1/conv_1/Op:0"
    assert found["conv_1"].other == "tiny_1/conv_1_1/Op:0"
    assert found["conv"].within
    assert found["conv_1"].within


def test_a_layer_is_not_matched_by_part_of_a_name(
    tmp_path: Path, model: Path, compiled: Path
) -> None:
    """Neither the operation at the end of a path nor a longer name is the layer."""

    def rename(name: str) -> str:
        flat = name.replace("/", "_")
        return f"net/x{flat}/{flat}"

    theirs = foreign(tmp_path / "theirs.onnx", compiled, rename=rename)
    assert verify(model, theirs, per_layer=True).layers == ()


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_taps_are_compared_with_layers(model: Path, layout: str) -> None:
    tapped = compile_(model, "tapped.onnx", taps=["all"], input_layout=layout)
    for sides in [(model, tapped), (tapped, model)]:
        report = verify(*sides, per_layer=True)
        assert report.equal
        assert [item.name for item in report.outputs] == [
            *("scores", "conv", "pool", "second", "flat")
        ]
        assert report.outputs[1].sizes == (8, 8, 8)
        assert report.outputs[1].where.endswith("tiny.yaml:5:5")
        assert set(names(report)) >= {"scores", "conv", "pool", "second", "flat"}
    wrong = edit_weight(tapped, "second/bias", lambda bias: bias + 1)
    assert [item.within for item in verify(model, wrong).outputs] == [
        *(False, True, True, False, False)
    ]


def test_taps_of_one_file_and_layers_of_another(model: Path, compiled: Path) -> None:
    tapped = compile_(model, "tapped.onnx", taps=["conv"])
    for sides in [(compiled, tapped), (tapped, compiled)]:
        assert [item.name for item in verify(*sides).outputs] == ["scores", "conv"]


def test_outputs_that_are_no_layers(model: Path, compiled: Path) -> None:
    other = model.with_name("other.yaml")
    other.write_text(MODEL.replace("name: second", "name: middle"))
    tapped = compile_(other, "tapped.onnx", taps=["middle", "pool"])
    with pytest.raises(VerificationError, match=r"nor layers of these names: middle\n") as caught:
        verify(model, tapped)
    assert (str(tapped), "scores, middle, pool") in caught.value.context


def test_integers_beside_integers_and_beside_floats(model: Path, compiled: Path) -> None:
    """Floats are no reference for them; an engine that rounds otherwise is a few steps apart."""
    other = edit_weight(compiled, "scores/bias", lambda bias: bias + np.arange(10) / 50)
    for path in (compiled, other):
        edit_metadata(path, precision="int8")
    report = verify(compiled, other)
    assert report.tolerance == ROUNDED["int8"]
    assert report.equal
    assert report.outputs[0].largest_absolute > 1e-3
    assert not report.integers
    beside = verify(model, other)
    assert beside.tolerance == Tolerance()
    assert not beside.equal
    assert beside.integers == str(other)
    assert not verify(model, other, rtol=1e-5).integers


def test_sizes_that_do_not_fit(tmp_path: Path, model: Path, compiled: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(MODEL.replace("8, 8, 3", "8, 8, 1"))
    with pytest.raises(ErrorGroup, match=r"input 'image' of .* is float32.*channels last"):
        verify(other, compiled)
    other.write_text(MODEL.replace("units: 10", "units: 9"))
    with pytest.raises(ErrorGroup, match="output scores: 9 in A, and 10 in B"):
        verify(other, compiled)


def test_a_layer_of_other_sizes_is_told(tmp_path: Path, model: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(MODEL.replace("filters: 5", "filters: 6"))
    report = verify(model, other, per_layer=True)
    assert "second: 2x2x5 in A, and 2x2x6 in B" in report.skipped
    assert not report.equal


def test_an_output_without_a_batch(tmp_path: Path) -> None:
    node = helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)
    value = helper.make_tensor_value_info
    graph = helper.make_graph([node], "sum", [value("x", 1, ["n", 4])], [value("y", 1, None)])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(made, tmp_path / "sum.onnx")
    with pytest.raises(ErrorGroup, match="output y: in A it is not one value"):
        verify(tmp_path / "sum.onnx", tmp_path / "sum.onnx")


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("absent.onnx", RuntimeFailure, "no such file"),
        ("absent.keras", GraphCNNError, "absent.keras"),
        ("model.pt", VerificationError, "not a kind of model"),
    ],
)
def test_files_that_are_no_models(
    compiled: Path, name: str, error: type[GraphCNNError], message: str
) -> None:
    with pytest.raises(error, match=message):
        verify(compiled, compiled.with_name(name))


@pytest.mark.parametrize("limits", [(1, 1), (2, 1), (0, float("inf"))])
def test_a_range_has_two_ends(compiled: Path, limits: tuple[float, float]) -> None:
    with pytest.raises(VerificationError, match="a least and a greater number"):
        verify(compiled, compiled, limits=limits)
