"""Files that take a camera's bytes, and give the best classes: equal to the plain file by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphcnn
from graphcnn import Camera, Graph, WeightStore
from graphcnn.errors import ErrorGroup, ExportError, GraphCNNError, OptionError
from graphcnn.ops import Add, Conv2D, Dense, Flatten, GlobalAveragePooling2D, Rescaling, Softmax
from graphcnn.runtime.predict import channels_last
from graphcnn.runtime.signature import read_signature
from graphcnn.types import DType, symbol
from graphcnn.verification.embedded import resized
from tests.random_values import random_arrays

Array = np.ndarray[Any, np.dtype[Any]]
Layout = Literal["nchw", "nhwc"]

EXAMPLES = Path(__file__).parents[1] / "examples"

SCALE = "Rescaling: {scale: 0.00392156862745098}"
SHIFT = "Rescaling: {scale: 0.0156, offset: -2.0}"
CONV = "Conv2D: {filters: 4, kernel_size: 3"

HEADS = {
    "scale, same": [SCALE, f"{CONV}, padding: same}}"],
    "scale, valid": [SCALE, f"{CONV}}}"],
    "shift, valid": [SHIFT, f"{CONV}}}"],
    "shift, same": [
        "Rescaling: {scale: 0.0156, offset: -2.0}",
        "Conv2D: {filters: 4, kernel_size: 5, strides: 2, padding: same}",
    ],
    "means, same": [
        "Rescaling: {scale: 1.0, offset: [-123.68, -116.779, -103.939]}",
        "Conv2D: {filters: 4, kernel_size: 7, strides: 2, padding: same}",
    ],
    "means, valid": [
        "Normalization: {mean: [123.0, 117.0, 104.0], variance: [3000.0, 3300.0, 3500.0]}",
        "Conv2D: {filters: 4, kernel_size: 3}",
    ],
    "weights, valid": ["Normalization", "Conv2D: {filters: 4, kernel_size: 3}"],
    "weights, same": ["Normalization", "Conv2D: {filters: 4, kernel_size: 3, padding: same}"],
    "padding": ["ZeroPadding2D: {padding: 2}", "Conv2D: {filters: 4, kernel_size: 3}"],
    "batch normalization": ["BatchNormalization", "Conv2D: {filters: 4, kernel_size: 3}"],
    "no convolution": ["Rescaling: {scale: [0.01, 0.02, 0.03]}", "MaxPooling2D"],
    "depthwise": ["Rescaling: {scale: 0.01}", "DepthwiseConv2D: {kernel_size: 3}"],
    "grouped": ["Conv2D: {filters: 6, kernel_size: 3, groups: 3}"],
    "dense": ["Rescaling: {scale: 0.01, offset: 0.5}", "Dense: {units: 4}"],
    "nothing": [],
}  # fmt: skip

WHOLE = {"scale, same", "scale, valid", "shift, valid", "means, valid", "weights, valid", "padding",
         "batch normalization", "dense"}  # fmt: skip
"""Where scaling and the order of colours go into the weights: nothing is left beside a Cast."""


def network(lines: list[str], image: str, folder: Path) -> Graph:
    rows = [f"inputs: {{image: {image}}}", "layers:", *(f"  - {line}" for line in lines)]
    rows += [
        "  - GlobalAveragePooling2D",
        "  - Dense: {units: 6, activation: softmax, name: scores}",
    ]
    path = folder / "model.yaml"
    path.write_text("\n".join(rows))
    return graphcnn.load(path)


def store(graph: Graph) -> WeightStore:
    return WeightStore.from_arrays(random_arrays(graph))


def pixels(graph: Graph, size: tuple[int, int] | None = None, count: int = 3) -> Array:
    """RGB or grey images, channels last."""
    value = graph.type(graph.inputs[0].name)
    sizes = (count, *(size or value.spatial), value.channels)
    return np.random.default_rng(5).integers(0, 256, sizes).astype(np.uint8)


def results(path: Path, x: Array) -> list[Array]:
    """What a file gives for images, channels last RGB, brought by hand to what it takes."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    signature = read_signature(session)
    (spec,) = signature.inputs
    x = x[..., ::-1] if spec.colors == "BGR" else x
    x = np.moveaxis(x, -1, 1) if spec.layout == "NCHW" else x
    found = session.run(None, {spec.name: np.ascontiguousarray(x, spec.dtype)})
    return [channels_last(v, s) for v, s in zip(found, signature.outputs, strict=True)]


def check_equal(
    graph: Graph, folder: Path, camera: Camera, layout: Layout | None = None, **options: Any
) -> list[str]:
    """Compare an embedded file with the plain one, and return the operators before its weights."""
    weights = store(graph)
    graphcnn.compile(graph, folder / "plain.onnx", weights=weights, verify=False, force=True)
    graphcnn.compile(
        graph,
        folder / "embedded.onnx",
        weights=weights,
        preprocess=camera,
        input_layout=layout,
        force=True,
        **options,
    )
    x = pixels(graph, camera.size)
    height, width, _ = graph.type("image").sizes
    by_hand = x if camera.size in (None, (height, width)) else resized(x, height, width)
    (expected,), (found,) = (
        results(folder / name, given)
        for name, given in (("plain.onnx", by_hand), ("embedded.onnx", x))
    )
    bound = 1e-4 if camera.size else 5e-6
    assert np.abs(found - expected).max() <= bound * np.abs(expected).max()
    model = onnx.load(folder / "embedded.onnx")
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    operators = [node.op_type for node in model.graph.node]
    weighted = [place for place, op in enumerate(operators) if op in ("Conv", "Gemm")]
    return operators[: weighted[0]] if weighted else operators


@pytest.mark.parametrize("colors", ["rgb", "bgr"])
@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
@pytest.mark.parametrize("head", HEADS)
def test_equals_the_plain_file(head: str, layout: Layout, colors: Any, tmp_path: Path) -> None:
    graph = network(HEADS[head], "[9, 12, 3]", tmp_path)
    before = check_equal(graph, tmp_path, Camera(colors=colors), layout, validate=True)
    if head in WHOLE:
        assert before == (["Cast", "Transpose"] if layout == "nhwc" else ["Cast"])
    if head in ("shift, same", "means, same", "weights, same"):
        assert sorted(before) == ["Add", "Cast", *["Transpose"] * (layout == "nhwc")]


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("mnist_cnn", []),
        ("cifar10_cnn", []),
        ("fashion_mnist_cnn", []),
        ("cifar10_mobilenet", ["Add"]),
        ("cifar10_batchnorm", None),
    ],
)
def test_examples(name: str, before: list[str] | None, tmp_path: Path) -> None:
    graph = graphcnn.load(EXAMPLES / f"{name}.yaml")
    colors: Any = "bgr" if graph.type("image").channels == 3 else "rgb"
    found = check_equal(graph, tmp_path, Camera(colors=colors), "nchw")
    assert before is None or sorted(found) == sorted(["Cast", *before])


@pytest.mark.parametrize("size", [(9, 12), (18, 24), (7, 31), (5, 5)])
@pytest.mark.parametrize("head", ["shift, valid", "means, same"])
def test_camera_of_another_size(head: str, size: tuple[int, int], tmp_path: Path) -> None:
    graph = network(HEADS[head], "[9, 12, 3]", tmp_path)
    before = check_equal(graph, tmp_path, Camera(colors="bgr", size=size))
    assert ("Resize" in before) == (size != (9, 12))
    assert set(before) <= {"Cast", "Transpose", "Resize", "Add"}


def test_grey(tmp_path: Path) -> None:
    graph = network(HEADS["shift, valid"], "[9, 12, 1]", tmp_path)
    assert check_equal(graph, tmp_path, Camera()) == ["Cast", "Reshape"]
    metadata = {item.key for item in onnx.load(tmp_path / "embedded.onnx").metadata_props}
    assert "graphcnn.input_colors" not in metadata


@settings(max_examples=25)
@given(
    head=st.sampled_from(sorted(HEADS)),
    sizes=st.tuples(st.integers(7, 14), st.integers(7, 14)),
    size=st.none() | st.tuples(st.integers(1, 20), st.integers(1, 20)),
    colors=st.sampled_from(["rgb", "bgr"]),
    layout=st.sampled_from(["nhwc", "nchw"]),
    target=st.sampled_from(["onnxruntime", "openvino,opencv,tract,mnn,tvm"]),
    disable=st.sampled_from([[], ["all"], ["fold-affine-into-next"], ["fold-channel-order"]]),
)
def test_equals_the_plain_file_in_any_combination(
    head: str,
    sizes: tuple[int, int],
    size: tuple[int, int] | None,
    colors: Any,
    layout: Layout,
    target: str,
    disable: list[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("drawn")
    graph = network(HEADS[head], f"[{sizes[0]}, {sizes[1]}, 3]", folder)
    camera = Camera(colors=colors, size=size)
    check_equal(graph, folder, camera, layout, target=target, disable=disable)


def test_colours_that_stay_are_turned_in_what_the_target_takes(tmp_path: Path) -> None:
    graph = network(HEADS["grouped"], "[9, 12, 3]", tmp_path)
    gathered = check_equal(graph, tmp_path, Camera(colors="bgr"), target="onnxruntime")
    assert gathered == ["Cast", "Transpose", "Gather"]
    assert check_equal(graph, tmp_path, Camera(), target="onnxruntime") == ["Cast", "Transpose"]


def test_open_sizes(tmp_path: Path) -> None:
    graph = network(["Conv2D: {filters: 4, kernel_size: 3}"], "[H, W, 3]", tmp_path)
    weights = store(graph)
    graphcnn.compile(graph, tmp_path / "a.onnx", weights=weights, target="onnxruntime")
    graphcnn.compile(graph, tmp_path / "b.onnx", weights=weights, preprocess="embed")
    x = np.random.default_rng(5).integers(0, 256, (2, 11, 8, 3)).astype(np.uint8)
    (expected,), (found,) = (results(tmp_path / name, x) for name in ("a.onnx", "b.onnx"))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    with pytest.raises(ErrorGroup, match="must be known, found") as caught:
        graphcnn.compile(graph, tmp_path / "c.onnx", preprocess=Camera(size=(4, 4)))
    assert caught.value.errors[0].hint == "--input-shape H,W,C"


def test_taps_keep_their_values_and_the_batch_is_fixed(tmp_path: Path) -> None:
    graph = network(HEADS["shift, same"], "[9, 12, 3]", tmp_path)
    weights, x = store(graph), pixels(graph, count=2)
    taps = ["rescaling", "conv2d"]
    for name, camera in (("a.onnx", None), ("b.onnx", Camera(colors="bgr"))):
        graphcnn.compile(
            graph, tmp_path / name, weights=weights, taps=taps, batch=2, preprocess=camera
        )
    for expected, found in zip(
        *(results(tmp_path / name, x) for name in ("a.onnx", "b.onnx")), strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=2e-5)


def several_inputs(*second: int, dtype: DType = DType.float32) -> Graph:
    graph = Graph("two")
    first = graph.add(GlobalAveragePooling2D(), graph.input("image", (6, 5, 3)))
    other = graph.input("more", second, dtype)
    if len(second) == 3:
        other = graph.add(GlobalAveragePooling2D(), other)
    graph.outputs["sum"] = graph.add(Add(), [first, other], name="sum")
    return graph


def test_every_image_is_embedded_and_vectors_are_not(tmp_path: Path) -> None:
    for sizes, kinds in (((4, 4, 3), ["uint8", "uint8"]), ((3,), ["uint8", "float32"])):
        path = tmp_path / f"{len(sizes)}.onnx"
        graphcnn.compile(several_inputs(*sizes), path, preprocess=Camera(colors="bgr"))
        session = graphcnn.Session(path)
        assert list(session.inputs) == ["image", "more"], "in the model's order"
        assert [spec.dtype.name for spec in session.inputs.values()] == kinds
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (2, 6, 5, 3)).astype(np.uint8)
    more = rng.normal(size=(2, 3)).astype(np.float32)
    found = session.run({"image": image[..., ::-1], "more": more})["sum"]
    np.testing.assert_allclose(found, image.mean(axis=(1, 2)) + more, rtol=1e-5)


def refused(graph: Graph, path: Path, camera: Any = "embed") -> list[str]:
    with pytest.raises(GraphCNNError) as caught:
        graphcnn.compile(graph, path / "no.onnx", preprocess=camera)
    assert not list(path.glob("no.onnx*"))
    return [str(error) for error in caught.value.errors]


def test_inputs_that_are_no_images_are_refused_all_at_once(tmp_path: Path) -> None:
    graph = Graph("odd")
    for name, sizes in (("deep", (4, 4, 4)), ("volume", (3, 3, 3, 1)), ("line", (9, 3))):
        graph.outputs[f"{name}_out"] = graph.add(Rescaling(scale=2.0), graph.input(name, sizes))
    found = refused(graph, tmp_path)
    assert [text.split(" ")[0] for text in found] == ["deep", "volume", "line"]
    assert "deep (Input): float32[N, 4, 4, 4] is no image: float32, height, width" in found[0]
    assert "without --preprocess embed the file takes it as the model does" in found[0]


def test_what_cannot_be_embedded_is_refused(tmp_path: Path) -> None:
    graph = Graph("vector")
    graph.outputs["y"] = graph.add(Dense(units=2), graph.input("x", (5,)), name="y")
    (found,) = refused(graph, tmp_path)
    assert "no input is an image to embed: x float32[N, 5]" in found
    graph = several_inputs(4, 4, 3)
    graph.outputs["bytes"] = graph.add(Flatten(), graph.input("raw", (4, 4, 3), DType.uint8))
    (found,) = refused(graph, tmp_path)
    assert "raw (Input): it takes uint8 already" in found
    grey = network(HEADS["scale, same"], "[9, 12, 1]", tmp_path)
    (found,) = refused(grey, tmp_path, Camera(colors="bgr"))
    assert "its one channel has no order of colours" in found
    assert "embed or a Camera, found 'yes'" in refused(grey, tmp_path, "yes")[0]
    with pytest.raises(OptionError, match="colors: expected bgr or rgb"):
        Camera(colors="rbg")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="size"):
        Camera(size=(0, 4))


def test_a_symbolic_channel_order_is_no_image(tmp_path: Path) -> None:
    graph = Graph("open")
    image = graph.input("image", (4, 4, symbol("C")))
    graph.outputs["y"] = graph.add(Rescaling(scale=2.0), image, name="y")
    assert "is no image" in refused(graph, tmp_path)[0]


def test_target(tmp_path: Path) -> None:
    graph = network(HEADS["shift, valid"], "[9, 12, 3]", tmp_path)

    def targets(**options: Any) -> tuple[str, ...]:
        return graphcnn.compile(graph, tmp_path / "t.onnx", force=True, **options).targets

    assert targets() == ("portable",)
    assert targets(preprocess="embed") == targets(postprocess="top2") == ("onnxruntime",)
    assert targets(preprocess="embed", target="opencv,mnn") == ("opencv", "mnn")
    with pytest.raises(ErrorGroup) as caught:
        targets(preprocess="embed", postprocess="top2", target="portable")
    uint8, top = caught.value.errors
    assert "uint8 input: ncnn does not load it" in str(uint8)
    assert "float32 pixels, without --preprocess embed" in str(uint8)
    assert "TopK: ncnn does not load it" in str(top)


@pytest.mark.parametrize("k", [1, 3, 6])
def test_best_classes(k: int, tmp_path: Path) -> None:
    graph = network(HEADS["shift, valid"], "[9, 12, 3]", tmp_path)
    weights, x = store(graph), pixels(graph)
    graphcnn.compile(graph, tmp_path / "a.onnx", weights=weights)
    graphcnn.compile(
        graph, tmp_path / "b.onnx", weights=weights, postprocess=f"top{k}", validate=True
    )
    (scores,), (best, classes) = (results(tmp_path / name, x) for name in ("a.onnx", "b.onnx"))
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(classes, order)
    np.testing.assert_allclose(best, np.take_along_axis(scores, order, 1), rtol=1e-6)
    model = onnx.load(tmp_path / "b.onnx")
    names = [output.name for output in model.graph.output]
    assert names == [f"scores_top{k}", f"scores_top{k}_classes"]
    assert classes.dtype == np.int64
    assert [node.op_type for node in model.graph.node].count("TopK") == 1
    (said,) = (item.value for item in model.metadata_props if item.key == "graphcnn.top_classes")
    assert json.loads(said) == {names[1]: names[0]}


@pytest.mark.parametrize("precision", ["fp16", "fp16-body"])
def test_best_classes_and_pixels_in_half_precision(precision: Any, tmp_path: Path) -> None:
    graph = network(HEADS["shift, valid"], "[9, 12, 3]", tmp_path)
    weights, x = store(graph), pixels(graph)
    graphcnn.compile(graph, tmp_path / "a.onnx", weights=weights)
    options: dict[str, Any] = {"preprocess": Camera(colors="bgr"), "postprocess": "top3"}
    graphcnn.compile(graph, tmp_path / "b.onnx", weights=weights, precision=precision, **options)
    (scores,), (best, classes) = (results(tmp_path / name, x) for name in ("a.onnx", "b.onnx"))
    assert (best.dtype.name, classes.dtype.name) == ("float32", "int64")
    np.testing.assert_allclose(best, np.take_along_axis(scores, classes, 1), atol=5e-3)
    (cast,) = (n for n in onnx.load(tmp_path / "b.onnx").graph.node if n.input[0] == "image")
    half = onnx.TensorProto.FLOAT16 if precision == "fp16-body" else onnx.TensorProto.FLOAT
    assert cast.attribute[0].i == half


def test_other_outputs_and_taps_stay_in_order(tmp_path: Path) -> None:
    graph = network(HEADS["scale, valid"], "[9, 12, 3]", tmp_path)
    graph.outputs = {"map": "conv2d", "scores": "scores"}
    graphcnn.compile(graph, tmp_path / "a.onnx", postprocess="top2", taps=["scores"])
    found = [output.name for output in onnx.load(tmp_path / "a.onnx").graph.output]
    assert found == ["map", "scores_top2", "scores_top2_classes", "scores"]


def test_best_classes_that_there_are_not(tmp_path: Path) -> None:
    def message(graph: Graph, top: str) -> str:
        with pytest.raises(GraphCNNError) as caught:
            graphcnn.compile(graph, tmp_path / "no.onnx", postprocess=top)
        assert not (tmp_path / "no.onnx").exists()
        return str(caught.value)

    graph = network(HEADS["scale, valid"], "[9, 12, 3]", tmp_path)
    assert "top7 of scores, which has 6 scores\n  hint     top6" in message(graph, "top7")
    for text in ("top0", "top", "best", "top5x", "top-1", "top" + "9" * 40):
        assert "expected top and a number" in message(graph, text)
    graph.outputs["scores_top2"] = "conv2d"
    assert "there is a 'scores_top2' in the model" in message(graph, "top2")
    graph.outputs = {"map": "conv2d"}
    graph.erase("scores")
    graph.erase("global_average_pooling2d")
    assert "and none is: map float32[N, 7, 10, 4]" in message(graph, "top2")
    two = several_inputs(3)
    two.outputs["again"] = two.add(Softmax(), "sum", name="again")
    assert "and 2 are: sum float32[N, 3], again float32[N, 3]" in message(two, "top2")
    one = Graph("one")
    one.outputs["y"] = one.add(Dense(units=1, activation="sigmoid"), one.input("x", (4,)))
    assert "and none is: y float32[N, 1]" in message(one, "top1")


def test_a_model_stays_as_it_is(tmp_path: Path) -> None:
    graph = network(HEADS["shift, same"], "[9, 12, 3]", tmp_path)
    before = str(graph)
    graphcnn.compile(
        graph, tmp_path / "a.onnx", preprocess=Camera(colors="bgr", size=(4, 5)), postprocess="top2"
    )
    assert str(graph) == before


def test_int8_needs_its_data_in_bytes(tmp_path: Path) -> None:
    from graphcnn.quantization import Quantization

    graph = network(HEADS["scale, valid"], "[9, 12, 3]", tmp_path)
    rng = np.random.default_rng(3)
    x = rng.integers(0, 256, (24, 9, 12, 3)).astype(np.uint8)
    labels = rng.integers(0, 6, 24)
    np.savez(tmp_path / "d.npz", x_train=x, y_train=labels, x_test=x, y_test=labels)
    np.save(tmp_path / "scaled.npy", x / np.float32(255))
    options: dict[str, Any] = {"preprocess": Camera(colors="bgr"), "postprocess": "top3"}
    options |= {"weights": store(graph), "precision": "int8"}
    report = graphcnn.compile(
        graph,
        tmp_path / "q.onnx",
        quantization=Quantization(data=str(tmp_path / "d.npz"), samples=8),
        **options,
    )
    assert report.quality
    assert report.quality.original.accuracy is not None
    plain = tmp_path / "plain.onnx"
    graphcnn.compile(graph, plain, weights=options["weights"])
    (scores,) = results(plain, x)
    accuracy = float((scores.argmax(axis=1) == labels).mean())
    assert report.quality.original.accuracy == pytest.approx(accuracy)
    with pytest.raises(GraphCNNError, match="cannot be held by uint8"):
        graphcnn.compile(
            graph,
            tmp_path / "q2.onnx",
            quantization=Quantization(data=str(tmp_path / "scaled.npy"), samples=8),
            **options,
        )


def test_precision_that_a_target_lacks_is_told_first(tmp_path: Path) -> None:
    graph = network(HEADS["scale, valid"], "[9, 12, 3]", tmp_path)
    with pytest.raises(ExportError, match="fp16-body does not run everywhere"):
        graphcnn.compile(
            graph, tmp_path / "a.onnx", preprocess="embed", precision="fp16-body", target="ncnn"
        )


def test_shared_kernels_are_reversed_for_the_camera_alone(tmp_path: Path) -> None:
    graph = Graph("shared")
    image = graph.input("image", (6, 6, 3))
    layer = Conv2D(filters=2, kernel_size=3)
    first = graph.add(layer, image, name="first")
    darker = graph.add(Softmax(), image, name="darker")
    weights = {"kernel": "first/kernel", "bias": "first/bias"}
    second = graph.add(layer, darker, name="second", weights=weights)
    graph.outputs["sum"] = graph.add(Add(), [first, second], name="sum")
    check_equal(graph, tmp_path, Camera(colors="bgr"), validate=True)


def test_a_name_that_is_taken_is_passed_over(tmp_path: Path) -> None:
    graph = Graph("names")
    image = graph.input("image", (4, 4, 3))
    taken = graph.add(Rescaling(scale=2.0), image, name="image/float32")
    graph.outputs["y"] = graph.add(Rescaling(scale=0.5, offset=1.0), taken, name="image/rgb")
    check_equal(graph, tmp_path, Camera(colors="bgr", size=(8, 8)), disable=["all"])


def test_an_input_that_is_an_output_is_refused(tmp_path: Path) -> None:
    graph = network(HEADS["nothing"], "[9, 12, 3]", tmp_path)
    graph.outputs["copy"] = "image"
    graphcnn.compile(graph, tmp_path / "a.onnx", preprocess="embed")
    graph.outputs["image"] = "image"
    with pytest.raises(ExportError, match="image"):
        graphcnn.compile(graph, tmp_path / "b.onnx", preprocess="embed")
