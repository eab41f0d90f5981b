"""Opening a model of any kind as a side of a comparison."""

from __future__ import annotations

from pathlib import Path

from graphcnn.budget import Budget
from graphcnn.compiler import compile as compile_graph
from graphcnn.errors import VerificationError
from graphcnn.frontends.yaml import load
from graphcnn.graph import Graph
from graphcnn.options import shorten
from graphcnn.runtime.settings import Provider
from graphcnn.weights import WeightStore

from .onnx_side import OnnxSide
from .side import Side
from .untrusted import check_keras_file

Model = str | Path | Graph
Weights = WeightStore | str | Path | None


def opened(model: Model, weights: Weights, seed: int, provider: Provider, path: Path) -> Side:
    """A side of its kind; a model file is lowered to `path`.

    Raises:
        GraphCNNError: It cannot be read.
    """
    if isinstance(model, Graph):
        return _lowered(model, model.name, weights, seed, path)
    if not isinstance(model, str | Path):
        raise VerificationError(
            f"expected a Graph or the path of a model, found {shorten(model)}",
            hint="a Keras model is saved first: model.save('MODEL.keras')",
        )
    ending = Path(model).suffix.lower()
    if ending in (".yaml", ".yml"):
        return _lowered(load(model), str(model), weights, seed, path)
    if weights is not None:
        raise VerificationError(
            f"{model} has its own weights", hint="weights are given to a model file"
        )
    if ending == ".onnx":
        return OnnxSide(Path(model), provider)
    if ending in (".keras", ".h5"):
        check_keras_file(Path(model))
        from .keras_side import KerasSide

        return KerasSide(Path(model))
    raise VerificationError(
        f"{model}: not a kind of model that can be run", hint=".yaml, .keras, .h5 or .onnx"
    )


def _lowered(graph: Graph, model: str, weights: Weights, seed: int, path: Path) -> Side:
    graph = graph.clone()
    graph.budget = Budget()
    report = compile_graph(
        graph,
        path,
        weights=weights,
        seed=seed,
        input_layout="nhwc",
        verify=False,
        disable=["all"],
        target="onnxruntime",
    )
    note = f", as written; weights {report.weights}"
    return OnnxSide(path, "cpu", model=model, note=note, optimize=False)
