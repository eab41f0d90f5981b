"""``graphcnn plot``: pictures of trainings, predictions, feature maps and kernels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import options
from .progress import samples_bar

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@click.group("plot", short_help="Draw trainings, predictions, feature maps and kernels.")
def command() -> None:
    """Draw trainings, predictions, feature maps and kernels, as PNG or SVG.

    No display is needed.

    \b
    Examples:
      graphcnn plot history runs/lenet -o history.png
      graphcnn plot predictions model.onnx --data mnist -o predictions.svg
    """


def _output(draw: Callable[..., None]) -> Callable[..., None]:
    """The options that say where a picture goes."""
    force = click.option("--force", is_flag=True, help="Replace an existing file.")
    output = click.option(
        "-o",
        "--output",
        required=True,
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="The picture to write, by its ending .png or .svg.",
    )
    return output(force(draw))


def check_output(output: Path, force: bool) -> None:
    """Refuse a picture that cannot be made, before time is spent on it."""
    from graphcnn.files import check_target
    from graphcnn.report.figure import check_ending, load_matplotlib

    check_ending(output)
    check_target(output, force)
    load_matplotlib()


def _save(figure: Figure, output: Path) -> None:
    from graphcnn.report.figure import save_figure

    save_figure(figure, output)
    click.echo(f"saved in {output}")


@command.command("history", short_help="Loss and accuracy over a training's epochs.")
@click.argument("run", type=click.Path(path_type=Path))
@_output
def history(run: Path, output: Path, force: bool) -> None:
    """Draw loss and accuracy over the epochs of RUN, in training and validation.

    RUN is a run's directory, or the log that graphcnn train --json-log writes. The best epoch is
    marked.

    \b
    Examples:
      graphcnn plot history runs/lenet -o history.png
      graphcnn plot history log.jsonl -o history.svg --force
    """
    check_output(output, force)
    from graphcnn.report.history import best_epoch, draw_history, read_history, read_monitor

    found = read_history(run)
    _save(draw_history(found, str(run), best_epoch(found, read_monitor(run))), output)


@command.command("predictions", short_help="Samples with what is predicted for them.")
@click.argument("model", metavar="MODEL.onnx", type=click.Path())
@options.data
@options.split
@_output
@click.option(
    "--count", type=click.IntRange(1), default=15, show_default=True, help="How many samples."
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="What the samples are drawn at random from.",
)
def predictions(
    model: str, data: str, split: Any, output: Path, force: bool, count: int, seed: int
) -> None:
    """Draw samples of data, each with what MODEL.onnx predicts, and its probabilities.

    What is right is blue, what is wrong is red. Of more than ten classes the five likeliest are
    drawn, and the true one.

    \b
    Examples:
      graphcnn plot predictions model.onnx --data mnist -o predictions.png
      graphcnn plot predictions model.onnx --data photos/ --count 30 --seed 7 -o predictions.svg
    """
    check_output(output, force)
    from graphcnn.evaluation import predict_samples
    from graphcnn.report.predictions import draw_predictions

    found = predict_samples(model, data, split=split, count=count, seed=seed)
    title = f"{Path(model).name} on {len(found.x)} {split} samples of {Path(data).name}"
    _save(draw_predictions(found.x, found.probabilities, found.y, found.classes, title), output)


@command.command("features", short_help="The feature maps of a model's layers.")
@click.argument("model", metavar="MODEL.onnx", type=click.Path())
@click.argument("image", type=click.Path(path_type=Path))
@_output
@click.option("--layer", "layers", multiple=True, metavar="NAME", help="Draw only this layer.")
def features(model: str, image: Path, output: Path, force: bool, layers: tuple[str, ...]) -> None:
    """Draw the feature maps that IMAGE makes in the layers of MODEL.onnx.

    The layers are those that are outputs with height and width, as graphcnn compile --taps makes
    them. IMAGE is an image or an array, as for graphcnn run. Each channel is stretched from its
    lowest to its highest value; of more than 64 channels the first are drawn.

    \b
    Examples:
      graphcnn compile model.yaml --weights model.safetensors --taps all -o taps.onnx
      graphcnn plot features taps.onnx photo.png -o features.png
      graphcnn plot features taps.onnx photo.png --layer conv1 --layer conv2 -o features.svg
    """
    check_output(output, force)
    from graphcnn.report.layers import draw_features
    from graphcnn.runtime.predict import feature_maps

    given, maps = feature_maps(model, image, layers)
    title = f"feature maps of {Path(model).name} on {image.name}"
    _save(draw_features(given, maps, title), output)


@command.command("kernels", short_help="The kernels of a convolution.")
@click.argument("model", type=click.Path())
@click.option(
    "--weights",
    required=True,
    type=click.Path(path_type=Path),
    help="A .safetensors, .npz, .weights.h5 or .keras file.",
)
@_output
@click.option("--layer", metavar="NAME", help="The convolution.  [default: the first]")
def kernels(model: str, weights: Path, output: Path, force: bool, layer: str | None) -> None:
    """Draw the kernels of a convolution of the model file MODEL.

    Kernels on one channel are grey, those on three are in colour; of others each filter is a row,
    with a tile for each input channel.

    \b
    Examples:
      graphcnn plot kernels model.yaml --weights model.safetensors -o kernels.png
      graphcnn plot kernels model.yaml --weights model.keras --layer conv2 -o kernels.svg
    """
    check_output(output, force)
    from graphcnn.frontends.model import load
    from graphcnn.report.layers import convolution_kernel, draw_kernels
    from graphcnn.weights import WeightStore

    graph = load(model)
    store = WeightStore.read(weights, graph.weights_by_node)
    store.check(graph.weights)
    name, kernel = convolution_kernel(graph, store, layer)
    _save(draw_kernels(kernel, f"kernels of {name} in {weights.name}"), output)


@command.command("confusion", short_help="Which classes are taken for which.")
@click.argument("model", metavar="MODEL.onnx", type=click.Path())
@options.data
@options.split
@_output
def confusion(model: str, data: str, split: Any, output: Path, force: bool) -> None:
    """Draw the confusion matrix of MODEL.onnx on data.

    Colours are shares of the true class; up to 25 classes have their counts written in.

    \b
    Examples:
      graphcnn plot confusion model.onnx --data fashion_mnist -o confusion.png
    """
    check_output(output, force)
    from graphcnn.errors import PictureError
    from graphcnn.evaluation import evaluate_file
    from graphcnn.report.predictions import draw_confusion
    from graphcnn.scoring import Classification

    with samples_bar("onnxruntime") as progress:
        report = evaluate_file(model, data, split=split, progress=progress)
    evaluation = report.measurements[0].evaluation
    if not isinstance(evaluation, Classification):
        raise PictureError(f"{data} has targets, and a confusion matrix needs labels")
    title = f"{Path(model).name} on {Path(data).name} ({split}): "
    title += f"{evaluation.accuracy:.2%} of {evaluation.samples:,} right"
    _save(draw_confusion(evaluation, title), output)
