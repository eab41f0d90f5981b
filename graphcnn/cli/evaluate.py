"""``graphcnn evaluate``: how good a model is on data, in onnxruntime, TensorFlow or both."""

from __future__ import annotations

import json
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import options as shared
from .progress import samples_bar

if TYPE_CHECKING:
    from graphcnn.evaluation import EvaluationReport
    from graphcnn.graph import Graph
    from graphcnn.runtime.predict import Predictor
    from graphcnn.weights import WeightStore


@click.command("evaluate", short_help="Measure how good a model is on data.")
@click.argument("model", type=click.Path())
@shared.data
@click.option(
    "--weights", type=click.Path(), help="A .safetensors, .npz, .weights.h5, .keras or .h5 file."
)
@click.option(
    "--both", is_flag=True, help="Compile a model file too, run both, and compare predictions."
)
@shared.split
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    default=256,
    show_default=True,
    help="How many samples run at once, unless the file or its deploy.json says that.",
)
@shared.deployed_provider
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(model: str, weights: str | None, both: bool, as_json: bool, **options: Any) -> None:
    """Measure how good MODEL is on data.

    MODEL is an .onnx file, which onnxruntime runs, or a model file with --weights, or a .keras or
    .h5 file, which TensorFlow runs. Data go in as they are, without scaling. With labels, the
    accuracy, the cross-entropy in nats, each class's precision and recall, and the confusion matrix
    are printed; with targets, the mean squared and the mean absolute error. Of a file that gives
    its K best classes alone it is the accuracy, and how often the class is among the K.

    With --both, exits with 1 when a prediction differs.

    \b
    Examples:
      graphcnn evaluate model.onnx --data fashion_mnist
      graphcnn evaluate model.yaml --weights model.safetensors --data photos/
      graphcnn evaluate model.yaml --weights model.safetensors --data mnist --both
      graphcnn evaluate model.onnx --data data.npz --json | jq '.results[0].accuracy'
    """
    from graphcnn.errors import CheckFailed
    from graphcnn.report.console import show
    from graphcnn.report.evaluation import agreement_text, evaluation_json, evaluation_table

    if Path(model).suffix == ".onnx":
        if weights or both:
            raise click.UsageError("--weights and --both are for a model file, not for .onnx")
        report = _evaluate_file(model, **options)
    else:
        report = _evaluate_model(model, weights, both, **options)
    if as_json:
        click.echo(json.dumps(evaluation_json(report), allow_nan=False))
    else:
        show(evaluation_table(report))
    if report.agreement and len(report.agreement.differing):
        raise CheckFailed(
            agreement_text(report.agreement),
            hint=f"the first is that of sample {report.agreement.differing[0]}",
        )


def _evaluate_file(model: str, **options: Any) -> EvaluationReport:
    from graphcnn.evaluation import evaluate_file

    with samples_bar("onnxruntime") as progress:
        return evaluate_file(model, progress=progress, **options)


def _evaluate_model(
    model: str,
    weights: str | None,
    both: bool,
    data: str,
    split: Any,
    batch_size: int,
    provider: Any,
) -> EvaluationReport:
    from graphcnn.classes import common_classes
    from graphcnn.datasets import read_model_data
    from graphcnn.evaluation import EvaluationReport, choose_split, measure
    from graphcnn.scoring import compare
    from graphcnn.training import predict
    from graphcnn.weights import WeightStore

    graph, given = shared.read_model(model, weights)
    if given is None:
        raise click.UsageError(f"{model} needs --weights; .onnx and .keras files have their own")
    dataset = read_model_data(data, graph)
    store = given
    if not isinstance(store, WeightStore):
        store = WeightStore.read(store, graph.weights_by_node)
    store.check(graph.weights)
    samples = choose_split(dataset, split)
    names = common_classes(dataset.classes, graph.classes or store.classes)
    by_tensorflow = partial(predict, graph, store, samples.x, batch_size)
    with samples_bar("TensorFlow") as progress:
        first, expected = measure("TensorFlow", by_tensorflow, samples.y, names, progress)
    if not both:
        return EvaluationReport(model, data, split, (first,))
    predictor = _compiled(graph, store, provider)
    by_onnxruntime = partial(predictor.predict, samples.x, batch_size)
    with samples_bar("onnxruntime") as progress:
        second, found = measure(predictor.engine, by_onnxruntime, samples.y, names, progress)
    agreement = compare(expected, found, samples.y)
    return EvaluationReport(model, data, split, (first, second), agreement)


def _compiled(graph: Graph, store: WeightStore, provider: Any) -> Predictor:
    """The graph in onnxruntime; the file is gone when it is loaded."""
    from graphcnn.compiler import compile as compile_graph
    from graphcnn.runtime.predict import Predictor

    with tempfile.TemporaryDirectory(prefix="graphcnn-") as folder:
        path = Path(folder) / "model.onnx"
        compile_graph(graph, path, weights=store, target="onnxruntime")
        return Predictor(path, provider=provider)
