"""Small networks, files in integers made of them, and what onnxruntime makes of these."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

import graphcnn
from graphcnn import Graph, WeightStore
from graphcnn.onnx_file import read_onnx_file
from graphcnn.quantization import Arithmetic, Limit, Method
from graphcnn.quantization.calibration import calibrate
from graphcnn.quantization.insertion import insert
from graphcnn.quantization.placement import quantizable
from graphcnn.quantization.quantize import Quantization
from graphcnn.quantization.samples import Rows
from graphcnn.runtime.predict import Predictor
from tests.random_values import random_arrays

Array = np.ndarray[Any, np.dtype[Any]]

SEVEN_BITS = Arithmetic(signed_activations=False, reduce_range=True, reason="safe anywhere")
"""Weights of 7 bits: the same numbers with and without VNNI."""

SIZES = (8, 8, 3)
COUNT = 48


def samples(count: int = COUNT, *sizes: int) -> Array:
    """float32 samples around zero, channels last."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((count, *(sizes or SIZES))).astype(np.float32)


def network(path: Path, layers: str, inputs: str = "[8, 8, 3]", rest: str = "") -> Graph:
    """A model file of an input ``image`` and these layers, and its graph."""
    path.write_text(f"inputs: {{image: {inputs}}}\nlayers:\n{layers}{rest}")
    return graphcnn.load(path)


def weights(graph: Graph) -> WeightStore:
    """Weights that keep values near one."""
    return WeightStore.from_arrays(random_arrays(graph))


def saved(folder: Path, x: Array, name: str = "data.npy") -> str:
    """A .npy file."""
    np.save(folder / name, x)
    return str(folder / name)


def compiled(graph: Graph, path: Path, x: Array, **options: Any) -> graphcnn.CompileReport:
    """A file in integers, with options of the compiler and of `Quantization`."""
    names = ("limit", "method", "samples", "floats", "rank")
    how = {name: options.pop(name) for name in names if name in options}
    data = options.pop("data", None) or saved(path.parent, x)
    store = options.pop("weights", None) or weights(graph)
    quantization = Quantization(data=data, **how)
    return graphcnn.compile(
        graph, path, weights=store, precision="int8", quantization=quantization, **options
    )


def in_integers(
    path: Path,
    x: Array,
    floats: Collection[str] = (),
    arithmetic: Arithmetic = SEVEN_BITS,
    method: Method = "minmax",
) -> onnx.ModelProto:
    """A float32 file put into integers, but for some nodes."""
    file = read_onnx_file(path)
    ranges = calibrate(file, Predictor(path), Rows(x, np.arange(len(x))), method)
    integers = {layer.node for layer in quantizable(file)} - set(floats)
    model = insert(path, ranges, arithmetic, integers)
    onnx.checker.check_model(model, full_check=True)
    return model


def run(model: onnx.ModelProto, x: Array, folder: Path) -> tuple[Array, onnx.GraphProto]:
    """The first output for samples in the file's layout, and what onnxruntime has computed."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    found = session.run(None, {model.graph.input[0].name: x})[0]
    return np.asarray(found), onnx.load(folder / "optimized.onnx").graph


def operators(graph: onnx.GraphProto | onnx.ModelProto) -> list[str]:
    """The operators of a graph."""
    nodes = graph.graph.node if isinstance(graph, onnx.ModelProto) else graph.node
    return [node.op_type for node in nodes]


def in_bytes(graph: onnx.GraphProto) -> bool:
    """Whether only inputs are rounded to bytes, and only outputs made of them."""
    given = {value.name for value in graph.output}
    taken = {value.name for value in graph.input}
    return all(
        (node.op_type != "DequantizeLinear" or node.output[0] in given)
        and (node.op_type != "QuantizeLinear" or node.input[0] in taken)
        for node in graph.node
    )


def decibels(expected: Array, found: Array) -> float:
    """The signal-to-noise ratio."""
    noise = np.square(expected.astype(np.float64) - found).sum()
    return float(10 * np.log10(np.square(expected, dtype=np.float64).sum() / noise))


def names(nodes: Sequence[Any]) -> list[str]:
    """The names of nodes."""
    return [node.name for node in nodes]


__all__ = [
    "COUNT", "SEVEN_BITS", "SIZES", "Limit", "compiled", "decibels", "in_bytes", "in_integers",
    "names", "network", "operators", "run", "samples", "saved", "weights",
]  # fmt: skip
