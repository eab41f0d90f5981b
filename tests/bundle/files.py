""".onnx files of every kind that a page takes, and a stand-in for what runs them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HOSTILE = ("</script><img src=x onerror=alert(1)>", "\"'&<b>", "\N{RIGHT-TO-LEFT OVERRIDE}abc")


def file(
    path: Path,
    *,
    shape: Sequence[int | str] = ("N", 3, 12, 10),
    dtype: str = "float32",
    layout: str = "NCHW",
    head: str = "softmax",
    count: int = 7,
    taps: Sequence[str] = (),
    quantized: bool = False,
    external: bool = False,
    **metadata: Any,
) -> Path:
    """One convolution with random weights, and a head on the means of its channels.

    Args:
        path: Where to write it.
        shape: What it takes.
        dtype: ``float32`` or ``uint8``.
        layout: Of what it takes; it transposes NHWC.
        head: ``softmax``, ``sigmoid``, ``logits``, or ``top`` for the three highest of a softmax.
        count: How many classes.
        taps: Of ``conv`` and ``last``, the same with channels last, what it gives too.
        quantized: Whether the convolution's result goes through 8 bits.
        external: Whether its weights lie beside it.
        metadata: What is written into it, under ``graphcnn.`` and as JSON.
    """
    channels = int(shape[layout.index("C")])
    drawn = np.random.default_rng(0)
    weights = {
        "kernel": drawn.normal(0, 1 / 255, (40, channels, 3, 3)),
        "dense": drawn.normal(0, 0.5, (count, 40)),
        "bias": drawn.normal(0, 0.3, count),
        "scale": np.array(0.02),
    }
    initializers = [
        numpy_helper.from_array(values.astype(np.float32), name) for name, values in weights.items()
    ]
    initializers += [
        numpy_helper.from_array(np.array([3]), "three"),
        numpy_helper.from_array(np.array(0, np.int8), "zero"),
    ]
    nodes, value = [], "image"
    if dtype == "uint8":
        nodes.append(helper.make_node("Cast", [value], ["floats"], to=TensorProto.FLOAT))
        value = "floats"
    if layout == "NHWC":
        nodes.append(helper.make_node("Transpose", [value], ["turned"], perm=[0, 3, 1, 2]))
        value = "turned"
    nodes.append(helper.make_node("Conv", [value, "kernel"], ["conv"], name="conv"))
    value = "conv"
    if quantized:
        ends = (("QuantizeLinear", "quantized"), ("DequantizeLinear", "restored"))
        for operator, result in ends:
            nodes.append(helper.make_node(operator, [value, "scale", "zero"], [result]))
            value = result
    nodes += [
        helper.make_node("Transpose", ["conv"], ["last"], perm=[0, 2, 3, 1]),
        helper.make_node("Relu", [value], ["relu"]),
        helper.make_node("GlobalAveragePool", ["relu"], ["means"]),
        helper.make_node("Flatten", ["means"], ["flat"]),
        helper.make_node("Gemm", ["flat", "dense", "bias"], ["logits"], transB=1),
        helper.make_node("Softmax", ["logits"], ["softmax"]),
        helper.make_node("Sigmoid", ["logits"], ["sigmoid"]),
        helper.make_node("TopK", ["softmax", "three"], ["top", "top_classes"]),
    ]
    batch, *sizes = (shape[layout.index(axis)] for axis in "NCHW")
    inner = [int(size) - 2 if isinstance(size, int) else None for size in sizes[1:]]
    outputs: dict[str, tuple[int, Sequence[Any]]] = {
        head: (TensorProto.FLOAT, [batch, 3 if head == "top" else count]),
        "conv": (TensorProto.FLOAT, [batch, 40, *inner]),
        "last": (TensorProto.FLOAT, [batch, *inner, 40]),
        "top_classes": (TensorProto.INT64, [batch, 3]),
        "flat": (TensorProto.FLOAT, [batch, 40]),
        "logits": (TensorProto.FLOAT, [batch, count]),
    }
    given = [head, *(["top_classes"] if head == "top" else []), *taps]
    if "last" in taps:
        metadata["output_layouts"] = {"last": "NHWC"}
    if head == "top":
        metadata["top_classes"] = {"top_classes": "top"}
    needed = set(given)
    kept = []
    for node in reversed(nodes):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.insert(0, node)
    element = TensorProto.UINT8 if dtype == "uint8" else TensorProto.FLOAT
    graph = helper.make_graph(
        kept,
        path.stem,
        [helper.make_tensor_value_info("image", element, shape)],
        [helper.make_tensor_value_info(name, *outputs[name]) for name in given],
        [tensor for tensor in initializers if tensor.name in needed],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    stated = {"input_layouts": {"image": layout}, **metadata}
    helper.set_model_props(model, {f"graphcnn.{k}": json.dumps(v) for k, v in stated.items()})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(
        model,
        path,
        save_as_external_data=external,
        location=f"{path.name}.data",
        size_threshold=64,
    )
    return path


def nearest(path: Path) -> Path:
    """Handwritten digits of scikit-learn's, made what MNIST's are; of a drawing the nearest."""
    from PIL import Image
    from sklearn.datasets import load_digits

    found = load_digits()
    digits: list[Any] = [[] for _ in range(10)]
    for picture, label in zip(found.images, found.target, strict=True):
        rows, columns = (np.flatnonzero(picture.any(axis=axis)) for axis in (1, 0))
        inked = picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        scale = 20 / max(inked.shape)
        size = [max(round(side * scale), 1) for side in reversed(inked.shape)]
        image = Image.fromarray((inked / 16 * 255).astype(np.uint8)).resize(size)
        pixels = np.asarray(image, np.float32)
        total = float(pixels.sum())
        y, x = (
            round(14 - float(pixels.sum(axis=1 - axis) @ (np.arange(n) + 0.5)) / total)
            for axis, n in enumerate(pixels.shape)
        )
        field = np.zeros((28, 28), np.float32)
        y, x = min(max(y, 0), 28 - pixels.shape[0]), min(max(x, 0), 28 - pixels.shape[1])
        field[y : y + pixels.shape[0], x : x + pixels.shape[1]] = pixels
        digits[label].append(field / np.linalg.norm(field))
    fewest = min(map(len, digits))
    templates = np.stack([np.stack(some[:fewest]) for some in digits])
    weights: Mapping[str, Any] = {
        "templates": templates.reshape(10 * fewest, 1, 28, 28).astype(np.float32) / 50,
        "sizes": np.array([0, 10, fewest]),
    }
    nodes = [
        helper.make_node("Conv", ["image", "templates"], ["likeness"]),
        helper.make_node("Reshape", ["likeness", "sizes"], ["rows"]),
        helper.make_node("ReduceMax", ["rows"], ["scores"], axes=[2], keepdims=0),
    ]
    sizes = {"image": ["N", 1, 28, 28], "scores": ["N", 10], "likeness": ["N", 10 * fewest, 1, 1]}
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in sizes.items()
    ]
    tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "nearest digit", values[:1], values[1:], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"graphcnn.classes": json.dumps(list("0123456789"))})
    onnx.save(model, path)
    return path


def runtime(folder: Path, version: object = "1.30.0", lacking: str = "") -> Path:
    """A folder like that of onnxruntime-web, with nothing in its files."""
    (folder / "dist").mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps({"version": version}))
    names = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
    for name in names:
        if name != lacking:
            (folder / "dist" / name).write_text(f"// {name}")
    return folder
