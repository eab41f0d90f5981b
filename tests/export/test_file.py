"""What is in a compiled file: its weights bit for bit, its names, its metadata, its outputs."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from safetensors.numpy import save_file

import graphcnn
from graphcnn import Graph, GraphCNNError, WeightStore
from graphcnn.export import writer
from graphcnn.export.builder import OPSETS
from graphcnn.ops import Add, Dense, ReLU
from graphcnn.types import FIRST, LAST

Array = np.ndarray[Any, np.dtype[Any]]


def held(path: Path) -> dict[str, Array]:
    return {
        tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer
    }


def run(path: Path, seed: int = 0) -> dict[str, Array]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(seed)
    feeds = {
        item.name: rng.standard_normal(
            [size if isinstance(size, int) else 2 for size in item.shape]
        ).astype(np.float32)
        for item in session.get_inputs()
    }
    names = [item.name for item in session.get_outputs()]
    return dict(zip(names, session.run(None, feeds), strict=True))


def shapes(path: Path) -> dict[str, list[Any]]:
    graph = onnx.load(path, load_external_data=False).graph
    return {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in [*graph.input, *graph.output]
    }


def properties(path: Path) -> dict[str, str]:
    return {p.key: p.value for p in onnx.load(path, load_external_data=False).metadata_props}


def test_the_same_bytes_twice(graph: Graph, out: Path) -> None:
    graphcnn.compile(graph, out, seed=3)
    first = out.read_bytes()
    graphcnn.compile(graph.clone(), out, seed=3, force=True)
    assert out.read_bytes() == first
    graphcnn.compile(graph, out, seed=4, force=True)
    assert out.read_bytes() != first


def test_the_bytes_do_not_depend_on_the_path(graph: Graph, out: Path) -> None:
    graphcnn.compile(graph, out)
    graphcnn.compile(graph, out.with_name("other.onnx"))
    assert out.read_bytes() == out.with_name("other.onnx").read_bytes()


def test_weights_bit_for_bit(graph: Graph, out: Path, arrays: dict[str, Array]) -> None:
    graphcnn.compile(graph, out, weights=WeightStore.from_arrays(arrays), disable=["all"])
    found = held(out)
    for unit in ("one", "two"):
        kernel = arrays[f"{unit}/conv/kernel"].transpose(3, 2, 0, 1)
        np.testing.assert_array_equal(found[f"{unit}/conv/kernel"], kernel)
        for name in ("conv/bias", "norm/gamma", "norm/beta", "norm/moving_variance"):
            np.testing.assert_array_equal(found[f"{unit}/{name}"], arrays[f"{unit}/{name}"])
    dense = arrays["scores/kernel"].reshape(6, 6, 16, 10).transpose(3, 2, 0, 1).reshape(10, -1)
    np.testing.assert_array_equal(found["scores/kernel"], dense)
    assert found.keys() == arrays.keys()
    assert all(array.dtype == np.float32 for array in found.values())


@pytest.mark.parametrize("kind", ["safetensors", "npz"])
def test_weights_from_a_file(
    graph: Graph, out: Path, arrays: dict[str, Array], tmp_path: Path, kind: str
) -> None:
    file = tmp_path / f"w.{kind}"
    if kind == "npz":
        np.savez(file, **arrays)  # type: ignore[arg-type]
    else:
        save_file(arrays, file, metadata={"by": "a test"})
    graphcnn.compile(graph, out, weights=file)
    other = out.with_name("memory.onnx")
    graphcnn.compile(graph, other, weights=WeightStore.from_arrays(arrays))
    assert {n: a.tobytes() for n, a in held(out).items()} == {
        n: a.tobytes() for n, a in held(other).items()
    }
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert properties(out)["graphcnn.weights"] == f"sha256:{digest}"


def test_weights_are_saved_and_read(graph: Graph, tmp_path: Path) -> None:
    store = WeightStore.random(graph.weights, seed=1)
    store.save(tmp_path / "w.safetensors")
    again = WeightStore.read(tmp_path / "w.safetensors")
    assert set(again) == set(store)
    for name in store:
        np.testing.assert_array_equal(again[name].load(), store[name].load())
        assert (again[name].shape, again[name].dtype) == (store[name].shape, store[name].dtype)


def test_fortran_order_and_npy_versions(graph: Graph, out: Path, arrays: dict[str, Array]) -> None:
    graphcnn.compile(graph, out, weights=WeightStore.from_arrays(arrays), disable=["all"])
    plain = out.read_bytes()
    turned = {name: np.asfortranarray(array) for name, array in arrays.items()}
    np.savez(out.with_name("f.npz"), **turned)  # type: ignore[arg-type]
    graphcnn.compile(graph, out, weights=out.with_name("f.npz"), force=True, disable=["all"])
    assert held(out)["one/conv/kernel"].tobytes() in plain


@pytest.mark.parametrize("block", [4, 60, 1000, 4096])
def test_the_size_of_blocks_changes_nothing(
    graph: Graph, out: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    graphcnn.compile(graph, out, disable="all")
    whole = out.read_bytes()
    monkeypatch.setattr(writer, "_BLOCK_BYTES", block)
    written: list[int] = []
    progress = {"progress": lambda done, total: written.append(done)}
    graphcnn.compile(graph, out, force=True, disable="all", **progress)  # type: ignore[arg-type]
    assert out.read_bytes() == whole
    assert written == sorted(written)
    assert written[-1] == sum(spec.bytes for spec in graph.weights.values())


def test_external_data(graph: Graph, out: Path) -> None:
    inside = out.with_name("inside.onnx")
    graphcnn.compile(graph, inside)
    report = graphcnn.compile(graph, out, external_data="always")
    data = out.with_name("small.onnx.data")
    assert sorted(p.name for p in out.parent.iterdir()) == ["inside.onnx", out.name, data.name]
    assert report.bytes == out.stat().st_size + data.stat().st_size
    assert out.stat().st_size < inside.stat().st_size / 2
    for name, array in held(inside).items():
        np.testing.assert_array_equal(held(out)[name], array)
    for name, result in run(out).items():
        np.testing.assert_array_equal(result, run(inside)[name])
    onnx.checker.check_model(str(out), full_check=True)
    entries = [
        t for t in onnx.load(out, load_external_data=False).graph.initializer if t.external_data
    ]
    places = [{e.key: e.value for e in tensor.external_data} for tensor in entries]
    assert {place["location"] for place in places} == {data.name}
    assert all(int(place["offset"]) % 4096 == 0 for place in places)


def test_external_data_by_itself(graph: Graph, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "SizeLimit", 10_000)
    graphcnn.compile(graph, out)
    assert out.with_name("small.onnx.data").is_file()
    run(out)


def test_external_data_forbidden(graph: Graph, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "SizeLimit", 10_000)
    with pytest.raises(GraphCNNError, match="more than protobuf's 10,000") as caught:
        graphcnn.compile(graph, out, external_data="never")
    assert caught.value.hint == "--external-data auto"
    assert list(out.parent.iterdir()) == []


def test_external_data_of_nothing(out: Path) -> None:
    graph = Graph()
    graph.input("x", [3])
    graph.outputs["y"] = graph.add(ReLU(), "x", name="y")
    graphcnn.compile(graph, out, external_data="always")
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize("size", [0, 127, 128, 300, 2**14 - 1, 2**14, 2**21, 2**31 - 1, 2**40])
def test_varints(size: int) -> None:
    tensor = onnx.TensorProto(dims=[size])
    assert tensor.SerializeToString()[1:] in (writer._varint(size), b"\x01" + writer._varint(size),
        bytes([len(writer._varint(size))]) + writer._varint(size))  # fmt: skip


def test_metadata(graph: Graph, out: Path) -> None:
    graphcnn.compile(graph, out, seed=7)
    found = properties(out)
    assert found == {
        "graphcnn.version": version("graphcnn"),
        "graphcnn.model": f"sha256:{graph.digest}",
        "graphcnn.weights": "random, seed 7",
        "graphcnn.input_layouts": '{"image": "NCHW"}',
        "graphcnn.output_layouts": '{"scores": "NC"}',
    }
    assert list(found) == sorted(found)
    model = onnx.load(out)
    assert (model.producer_name, model.graph.name) == ("graphcnn", "small")


def test_lines_are_kept(graph: Graph, out: Path) -> None:
    graphcnn.compile(graph, out)
    nodes = {node.name: node for node in onnx.load(out).graph.node}
    assert nodes["two/act"].doc_string == "small.yaml:9:9 two/act (ReLU) in two\nlayout: NCHW"
    assert nodes["two/norm"].doc_string == (
        "small.yaml:8:9 two/norm (BatchNormalization) in two\n"
        "small.yaml:7:9 two/conv (Conv2D) in two\n"
        "passes: fold-affine-into-previous\nlayout: NCHW"
    )
    assert nodes["scores"].doc_string == (
        "small.yaml:16:5 scores (Dense)\npasses: assign-layout\nlayout: NC"
    )
    assert all(node.doc_string for node in nodes.values())


@pytest.mark.parametrize("disable", ["all", ""])
def test_names_are_the_model_s_own(graph: Graph, out: Path, disable: str) -> None:
    graphcnn.compile(graph, out, disable=disable.split())
    nodes = onnx.load(out).graph.node
    gone = ("image", "drop") if disable else ("image", "drop", "one/conv", "two/conv")
    own = [node.name for node in graph if node.name not in gone]
    assert [node.output[0] for node in nodes if node.output[0] in own] == own
    assert [node.output[0] for node in nodes if node.output[0] not in own] == ["scores/gemm"]


def test_layouts(graph: Graph, out: Path) -> None:
    graph.outputs["pool"] = "pool"
    graphcnn.compile(graph, out)
    assert shapes(out) == {"image": ["N", 3, 12, 12], "scores": ["N", 10], "pool": ["N", 16, 6, 6]}
    graphcnn.compile(graph, out, input_layout="nhwc", force=True)
    assert shapes(out) == {"image": ["N", 12, 12, 3], "scores": ["N", 10], "pool": ["N", 6, 6, 16]}
    assert json.loads(properties(out)["graphcnn.output_layouts"]) == {
        "scores": "NC",
        "pool": "NHWC",
    }


@pytest.mark.parametrize("rank", range(1, 6))
def test_axis_letters(rank: int) -> None:
    first = ["N", "NC", "NCL", "NCHW", "NCDHW"][rank - 1]
    last = ["N", "NC", "NLC", "NHWC", "NDHWC"][rank - 1]
    assert (FIRST.letters(rank), LAST.letters(rank)) == (first, last)


def test_batch(graph: Graph, out: Path) -> None:
    graphcnn.compile(graph, out, batch=4)
    assert shapes(out) == {"image": [4, 3, 12, 12], "scores": [4, 10]}
    assert graph.batch is None
    assert run(out)["scores"].shape == (4, 10)


@pytest.mark.parametrize("batch", [0, -1, 2**31])
def test_batch_refused(graph: Graph, out: Path, batch: int) -> None:
    with pytest.raises(GraphCNNError, match="expected a batch from 1 to 2,147,483,647"):
        graphcnn.compile(graph, out, batch=batch)


@pytest.mark.parametrize("opset", OPSETS)
def test_opsets(graph: Graph, out: Path, opset: int) -> None:
    graphcnn.compile(graph, out, opset=opset)
    model = onnx.load(out)
    assert [(item.domain, item.version) for item in model.opset_import] == [("", opset)]
    assert model.ir_version == {19: 9, 20: 9, 21: 10, 22: 10, 23: 11}.get(opset, 8)


def test_the_default_opset(graph: Graph, out: Path) -> None:
    graphcnn.compile(graph, out)
    model = onnx.load(out)
    assert (model.opset_import[0].version, model.ir_version) == (17, 8)


@pytest.mark.parametrize("opset", [12, 24, 0, -1])
def test_opsets_refused(graph: Graph, out: Path, opset: int) -> None:
    with pytest.raises(GraphCNNError, match=f"opset {opset} cannot be written") as caught:
        graphcnn.compile(graph, out, opset=opset)
    assert caught.value.hint == "13 to 23; 17 runs on the most runtimes"


def test_taps(graph: Graph, out: Path) -> None:
    graphcnn.compile(graph, out, taps=["two/conv", "pool", "scores"])
    assert list(shapes(out)) == ["image", "scores", "two/conv", "pool"]
    results = run(out)
    assert results["two/conv"].shape == (2, 16, 12, 12)
    pooled = np.maximum(results["two/conv"], 0).reshape(2, 16, 6, 2, 6, 2).max((3, 5))
    assert results["pool"].shape == pooled.shape
    assert list(graph.outputs) == ["scores"]


def test_all_taps(graph: Graph, out: Path) -> None:
    graphcnn.compile(graph, out, taps=["all"])
    plain = out.with_name("plain.onnx")
    graphcnn.compile(graph, plain)
    results = run(out)
    assert set(results) == {node.name for node in graph} - {"image"}
    np.testing.assert_array_equal(results["drop"], results["pool"])
    np.testing.assert_array_equal(
        results["flat"], results["pool"].transpose(0, 2, 3, 1).reshape(2, -1)
    )
    np.testing.assert_allclose(results["scores"], run(plain)["scores"], rtol=1e-5)


def test_an_unknown_tap(graph: Graph, out: Path) -> None:
    with pytest.raises(GraphCNNError, match="no layer named 'pol'") as caught:
        graphcnn.compile(graph, out, taps=["pol"])
    assert caught.value.hint == "did you mean pool?"


def test_shared_weights_are_written_once(out: Path) -> None:
    graph = Graph("shared")
    graph.input("x", [4])
    graph.add(Dense(units=4), "x", name="a")
    share = {"kernel": "a/kernel", "bias": "a/bias"}
    graph.add(Dense(units=4), "a", name="b", weights=share)
    graph.outputs["s"] = graph.add(Add(), ["a", "b"], name="s")
    graphcnn.compile(graph, out)
    found = held(out)
    assert set(found) == {"a/kernel", "a/bias"}
    x = np.random.default_rng(0).standard_normal((2, 4)).astype(np.float32)
    a = x @ found["a/kernel"].T + found["a/bias"]
    np.testing.assert_allclose(
        run(out)["s"], a + a @ found["a/kernel"].T + found["a/bias"], rtol=1e-5, atol=1e-6
    )


def test_random_weights_depend_on_their_own_name_only(graph: Graph) -> None:
    store = WeightStore.random(graph.weights, seed=0)
    graph.add(Dense(units=3), "flat", name="more")
    again = WeightStore.random(graph.weights, seed=0)
    for name in store:
        np.testing.assert_array_equal(store[name].load(), again[name].load())
    assert not np.array_equal(
        store["one/conv/kernel"].load(), store["two/conv/kernel"].load()[:, :, :3]
    )


def test_the_report(graph: Graph, out: Path) -> None:
    report = graphcnn.compile(graph, out)
    assert report.path == out
    assert report.bytes == out.stat().st_size
    assert report.nodes == len(onnx.load(out).graph.node)
    assert report.params == sum(spec.elements for spec in graph.weights.values())
    assert report.verified == "checked by onnx, run by onnxruntime"
    assert graphcnn.compile(graph, out, force=True, verify=False).verified == "checked by onnx"


def test_open_sizes(tmp_path: Path) -> None:
    model = tmp_path / "fcn.yaml"
    model.write_text(
        "inputs: {image: [H, W, 1]}\nlayers:\n"
        "  - Conv2D: {filters: 2, kernel_size: 100}\n  - MaxPooling2D"
    )
    graphcnn.compile(graphcnn.load(model), tmp_path / "fcn.onnx", target="onnxruntime")
    assert shapes(tmp_path / "fcn.onnx")["image"] == ["N", 1, "H", "W"]
    assert shapes(tmp_path / "fcn.onnx")["max_pooling2d"][:2] == ["N", 2]
