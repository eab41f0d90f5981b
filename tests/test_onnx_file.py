"""Reading .onnx files of any tool without their weights, and finding their nodes."""

from __future__ import annotations

import json
import random
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import graphcnn
from graphcnn import onnx_structure
from graphcnn.errors import GraphCNNError, ModelFileError
from graphcnn.onnx_file import OnnxFile, find_nodes, read_onnx_file
from graphcnn.onnx_structure import read_structure

EXAMPLES = Path(__file__).parents[1] / "examples"
EMPTY = helper.make_model(onnx.GraphProto()).SerializeToString()
FUSED = """model.yaml:8:9 norm (BatchNormalization) in unit > stem
model.yaml:7:9 conv (Conv2D) in unit > stem
passes: fold-affine-into-previous, assign-layout
layout: NCHW"""


def save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    weights: dict[str, Any],
    inputs: dict[str, list[Any]],
    outputs: Sequence[str],
    **model: Any,
) -> Path:
    """Write a model as another tool would."""
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    proto = helper.make_model(graph, opset_imports=opset, ir_version=8, **model)
    path.write_bytes(proto.SerializeToString())
    return path


def zeros(*shape: int) -> Any:
    return np.zeros(shape, np.float32)


@pytest.fixture
def traced(tmp_path: Path) -> OnnxFile:
    """A file with provenance: a fused convolution, and its activation in two nodes."""
    act = "model.yaml:9:9 act (Activation) in unit"
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["norm"], "norm", doc_string=FUSED),
        helper.make_node("Sigmoid", ["norm"], ["act/sigmoid"], "act/sigmoid", doc_string=act),
        helper.make_node("Mul", ["norm", "act/sigmoid"], ["act"], "act", doc_string=act),
    ]
    weights = {"w": zeros(4, 3, 3, 3)}
    path = tmp_path / "m.onnx"
    save(path, nodes, weights, {"x": ["N", 3, 8, 8]}, ["act"], producer_name="graphcnn")
    return read_onnx_file(path)


@pytest.mark.parametrize("name", ["lenet", "fashion_mnist_cnn"])
def test_figures_are_those_of_the_model_file(name: str, tmp_path: Path) -> None:
    graph = graphcnn.load(EXAMPLES / f"{name}.yaml")
    graphcnn.compile(graph, tmp_path / "m.onnx", verify=False, disable=["all"])
    file, summary = read_onnx_file(tmp_path / "m.onnx"), graphcnn.summarize(graph)
    stored = sum(w.elements or 0 for w in file.weights.values() if w.shape and w.dtype != "int64")
    assert stored == summary.total_params
    assert file.macs == summary.macs
    assert file.by_graphcnn
    assert file.opsets == {"ai.onnx": 17}
    assert file.bytes == (tmp_path / "m.onnx").stat().st_size
    assert [value.layout for value in file.inputs] == ["NCHW"]
    assert str(file.outputs[0]) == "float32[N, 10]"


def test_peak_memory_is_that_of_the_model_file(tmp_path: Path) -> None:
    graph = graphcnn.Graph("g")
    x = graph.input("image", (8, 8, 3))
    a = graph.add(graphcnn.ops.Conv2D(filters=4, kernel_size=3, padding="same"), x, name="a")
    pool = graphcnn.ops.MaxPooling2D(pool_size=3, strides=1, padding="same")
    b = graph.add(pool, a, name="b")
    c = graph.add(graphcnn.ops.Add(), [a, b], name="c")
    d = graph.add(graphcnn.ops.Conv2D(filters=2, kernel_size=1), c, name="d")
    graph.outputs["d"] = d
    graphcnn.compile(graph, tmp_path / "m.onnx", verify=False, disable=["all"])
    found, wanted = read_onnx_file(tmp_path / "m.onnx").peak, graphcnn.summarize(graph).peak
    assert (found.bytes, found.node) == (wanted.bytes, wanted.node) == (3 * 4 * 64 * 4, "c")
    assert found.timeline == {k: v for k, v in wanted.timeline.items() if k != "image"}


def test_figures_of_other_tools_are_right(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "k", "b"], ["c"], group=2, strides=[2, 2]),
        helper.make_node("ConvTranspose", ["c", "t"], ["u"]),
        helper.make_node("Flatten", ["u"], ["f"]),
        helper.make_node("Gemm", ["f", "g"], ["h"], transB=1),
        helper.make_node("MatMul", ["h", "m"], ["y"]),
    ]
    weights = {
        "k": zeros(6, 2, 3, 3),
        "b": zeros(6),
        "t": zeros(6, 5, 2, 2),
        "g": zeros(7, 5 * 4 * 4),
        "m": zeros(7, 3),
    }
    for batch in ("N", 1, 8):
        file = read_onnx_file(
            save(tmp_path / "m.onnx", nodes, weights, {"x": [batch, 4, 7, 7]}, "y")
        )
        macs = {node.op: node.macs for node in file.nodes}
        assert macs == {
            "Conv": 3 * 3 * 6 * 2 * 9,
            "ConvTranspose": 3 * 3 * 6 * 5 * 4,
            "Flatten": 0,
            "Gemm": 80 * 7,
            "MatMul": 7 * 3,
        }
        assert [node.name for node in file.nodes] == ["c", "u", "f", "h", "y"]
        assert [node.activation_bytes for node in file.nodes] == [4 * 54, 4 * 80, 0, 4 * 7, 4 * 3]
        assert file.peak.bytes == 4 * (4 * 49 + 54)
        assert file.params == sum(array.size for array in weights.values())
        assert not file.by_graphcnn
        assert file.nodes[0].attributes == {"group": "2", "strides": "[2, 2]"}


def test_what_cannot_be_told_is_not_made_up(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["c"]),
        helper.make_node("Mystery", ["c"], ["y"], domain="vendor"),
    ]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("vendor", 1)]
    path = save(
        tmp_path / "m.onnx", nodes, {"k": zeros(2, 3, 3, 3)}, {"x": ["N", 3, "H", "W"]}, "y"
    )
    proto = onnx.load(path)
    del proto.opset_import[:]
    proto.opset_import.extend(opsets)
    onnx.save(proto, path)
    file = read_onnx_file(path)
    assert [node.op for node in file.nodes] == ["Conv", "vendor.Mystery"]
    assert (file.macs, file.peak.bytes, file.nodes[1].outputs[0].shape) == (None, None, None)
    assert file.params == 54
    sized = read_onnx_file(path, {"x": (3, 5, 5)})
    assert [node.macs for node in sized.nodes] == [54 * 9, None]
    assert read_onnx_file(path, {"": (3, 5, 5)}).nodes == sized.nodes
    with pytest.raises(ModelFileError, match="3 sizes after the batch, and 2 are given"):
        read_onnx_file(path, {"x": (5, 5)})
    with pytest.raises(ModelFileError, match="there is no input named 'z'"):
        read_onnx_file(path, {"z": (3, 5, 5)})


def test_constants_that_are_nodes_are_weights(tmp_path: Path) -> None:
    held = numpy_helper.from_array(zeros(64, 64))
    nodes = [
        helper.make_node("Constant", [], ["k"], value=held),
        helper.make_node("Neg", ["k"], ["n"]),
        helper.make_node("MatMul", ["x", "n"], ["y"]),
        helper.make_node("MatMul", ["y", "k"], ["z"]),
    ]
    file = read_onnx_file(save(tmp_path / "m.onnx", nodes, {}, {"x": ["N", 64]}, "z"))
    assert (file.params, file.macs, file.peak.bytes) == (64 * 64, 2 * 64 * 64, 2 * 64 * 4)
    assert [node.params for node in file.nodes] == [0, 64 * 64, 0, 0]
    assert file.nodes[0].attributes["value"].startswith("float32[64, 64]")


def test_weights_are_not_read(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    path = save(tmp_path / "m.onnx", nodes, {"w": zeros(4096, 2048)}, {"x": ["N", 4096]}, "y")
    tracemalloc.start()
    try:
        file = read_onnx_file(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert file.bytes > 32 * 2**20 > 8 * peak
    assert read_structure(path).ByteSize() < 1000
    assert file.params == 4096 * 2048
    assert file.macs == 4096 * 2048


def test_numbers_that_shapes_depend_on_are_read(tmp_path: Path) -> None:
    nodes = [helper.make_node("Reshape", ["x", "s"], ["y"])]
    weights = {"s": np.array([-1, 2, 3]), "unused": zeros(4096)}
    file = read_onnx_file(save(tmp_path / "m.onnx", nodes, weights, {"x": [4, 6]}, "y"))
    assert file.outputs[0].shape == (4, 2, 3)


def test_external_data(tmp_path: Path) -> None:
    graph = graphcnn.load(EXAMPLES / "lenet.yaml")
    graphcnn.compile(graph, tmp_path / "m.onnx", verify=False, external_data="always")
    data = tmp_path / "m.onnx.data"
    file = read_onnx_file(tmp_path / "m.onnx")
    assert file.bytes == (tmp_path / "m.onnx").stat().st_size + data.stat().st_size
    assert not file.missing
    data.unlink()
    assert read_onnx_file(tmp_path / "m.onnx").missing == ("m.onnx.data",)


@pytest.mark.parametrize("place", ["/etc/passwd", "../secret", "a/../../b", "a\nb"])
def test_external_data_elsewhere_is_refused(place: str, tmp_path: Path) -> None:
    path = save(
        tmp_path / "m.onnx", [helper.make_node("Add", "xw", "y")], {"w": zeros(2)}, {"x": [2]}, "y"
    )
    proto = onnx.load(path)
    proto.graph.initializer[0].external_data.add(key="location", value=place)
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(ModelFileError, match="its weights are said to be in"):
        read_onnx_file(path)


def test_names_that_are_not_unique(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], "same"),
        helper.make_node("Relu", ["a"], ["b"], "same"),
        helper.make_node("Relu", ["b"], ["y"], "a"),
    ]
    file = read_onnx_file(save(tmp_path / "m.onnx", nodes, {}, {"x": ["N", 2]}, "y"))
    assert len({node.name for node in file.nodes}) == 3
    assert file.nodes[2].name == "a"
    assert len(file.peak.timeline) == 3


def test_a_value_made_twice_is_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Neg", ["x"], ["y"], "twin")]
    path = save(tmp_path / "m.onnx", nodes, {}, {"x": ["N", 2]}, "y")
    with pytest.raises(ModelFileError, match="'twin' makes a value that is there already"):
        read_onnx_file(path)


def test_files_that_are_no_onnx(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    with pytest.raises(ModelFileError, match="no such file"):
        read_onnx_file(path)
    with pytest.raises(ModelFileError, match="is a directory"):
        read_onnx_file(tmp_path)
    for raw, message in (
        (b"", "is empty"),
        (b"inputs: {image: [8, 8, 3]}", "is not an .onnx file"),
        (b"\x08\x08", "holds no graph"),
        (bytes(1000), "is not an .onnx file"),
        (b"\xff" * 100, "is not an .onnx file"),
        (b"\x12\x01\xff" + EMPTY, "is not text"),
    ):
        path.write_bytes(raw)
        with pytest.raises(ModelFileError, match=message):
            read_onnx_file(path)


def test_a_weight_of_negative_size_is_refused(tmp_path: Path) -> None:
    path = save(
        tmp_path / "m.onnx", [helper.make_node("Add", "xw", "y")], {"w": zeros(2)}, {"x": [2]}, "y"
    )
    proto = onnx.load(path)
    proto.graph.initializer[0].dims[0] = -2
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(ModelFileError, match=r"weight 'w' has the sizes \[-2\]"):
        read_onnx_file(path)


def test_a_file_cut_anywhere_is_refused_or_read(tmp_path: Path) -> None:
    graphcnn.compile(graphcnn.load(EXAMPLES / "lenet.yaml"), tmp_path / "m.onnx", verify=False)
    raw = (tmp_path / "m.onnx").read_bytes()
    path = tmp_path / "cut.onnx"
    for end in random.Random(0).sample(range(1, len(raw)), 40):
        path.write_bytes(raw[:end])
        with pytest.raises(ModelFileError, match=r"cut short|holds no graph"):
            read_onnx_file(path)


def test_damaged_files_are_refused_or_read(tmp_path: Path) -> None:
    graphcnn.compile(graphcnn.load(EXAMPLES / "lenet.yaml"), tmp_path / "m.onnx", verify=False)
    small = read_structure(tmp_path / "m.onnx").SerializeToString()
    draw, path, refused = random.Random(1), tmp_path / "damaged.onnx", 0
    for _ in range(300):
        raw = bytearray(small)
        for place in draw.sample(range(len(raw)), draw.randint(1, 8)):
            raw[place] = draw.randrange(256)
        path.write_bytes(raw)
        try:
            file = read_onnx_file(path)
            find_nodes(file, file.nodes[0].name if file.nodes else "x")
        except GraphCNNError:
            refused += 1
    assert 0 < refused < 300


def test_what_is_read_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"], doc_string="d" * 5000)]
    path = save(tmp_path / "m.onnx", nodes, {}, {"x": ["N", 2]}, "y")
    assert read_onnx_file(path).nodes
    for limit, value, message in (
        ("_MOST_BYTES", 4000, "has more than 4,000 bytes beside its weights"),
        ("_MOST_FIELDS", 5, "has more than 5 parts beside its weights"),
        ("_DEEPEST", 1, "nests too deeply"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(onnx_structure, limit, value)
            with pytest.raises(ModelFileError, match=message):
                read_onnx_file(path)


def test_metadata_may_be_anything(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    path = save(tmp_path / "m.onnx", nodes, {}, {"x": ["N", 2]}, "y")
    proto = onnx.load(path)
    for text in ("[" * 100_000, "null", "[1]", json.dumps({"x": 3}), "{"):
        helper.set_model_props(proto, {"graphcnn.input_layouts": text})
        path.write_bytes(proto.SerializeToString())
        assert read_onnx_file(path).inputs[0].layout == ""


@pytest.mark.parametrize(
    ("name", "nodes", "note"),
    [
        ("norm", ["norm"], ""),
        ("conv", ["norm"], "conv went into norm"),
        ("act", ["act/sigmoid", "act"], ""),
        ("act/sigmoid", ["act/sigmoid"], ""),
        ("norm_nchwc", ["norm"], "onnxruntime makes of norm"),
        ("norm_nchwc_kernel_time", ["norm"], "onnxruntime makes of norm"),
        ("fused norm_kernel_time", ["norm"], "onnxruntime makes of norm"),
        ("conv_nchwc", ["norm"], "onnxruntime makes of conv"),
        ("norm_token_12", ["norm"], "onnxruntime makes of norm"),
        ("x", ["norm"], "x is an input"),
        ("w", ["norm"], "w is a weight"),
    ],
)
def test_nodes_are_found(traced: OnnxFile, name: str, nodes: list[str], note: str) -> None:
    found = find_nodes(traced, name)
    assert [node.name for node in found.nodes] == nodes
    assert note in found.notes[0] if note else not found.notes


def test_unknown_names(traced: OnnxFile) -> None:
    with pytest.raises(ModelFileError, match="no node, value or layer named 'nrm'") as error:
        find_nodes(traced, "nrm")
    assert error.value.hint == "did you mean norm?"
    with pytest.raises(ModelFileError) as error:
        find_nodes(traced, "ReorderOutput_token_3_kernel_time")
    assert "no part of the file" in str(error.value.hint)


def test_a_fused_layer_is_traced_to_its_lines(tmp_path: Path) -> None:
    model = tmp_path / "m.yaml"
    model.write_text(
        "inputs: {image: [8, 8, 3]}\n"
        "layers:\n"
        "  - Conv2D: {filters: 4, kernel_size: 3, name: conv}\n"
        "  - BatchNormalization: {name: norm}\n"
    )
    graphcnn.compile(graphcnn.load(model), tmp_path / "m.onnx", verify=False)
    file = read_onnx_file(tmp_path / "m.onnx")
    (node,) = find_nodes(file, "conv").nodes
    assert node.op == "Conv"
    assert node.origin is not None
    assert [(str(o.location), o.name) for o in node.origin.layers] == [
        ("m.yaml:4:5", "norm"),
        ("m.yaml:3:5", "conv"),
    ]
    assert node.origin.passes
