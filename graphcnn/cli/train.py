"""``graphcnn train``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from . import options
from .progress import epoch_lines

if TYPE_CHECKING:
    from graphcnn.graph import Graph
    from graphcnn.recipe import Recipe
    from graphcnn.training import TrainResult
    from graphcnn.weights import WeightStore


@click.command("train", short_help="Train a model file in TensorFlow.")
@click.argument("model", metavar="MODEL.yaml", type=click.Path(path_type=Path))
@options.data
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE.safetensors",
    help="Where the best weights go.  [default: MODEL with .safetensors]",
)
@click.option(
    "--run",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where the run is kept.  [default: runs/ and MODEL]",
)
@click.option("--resume", is_flag=True, help="Go on with the run in DIR.")
@click.option("--epochs", type=int, help="Times to go through the training data.  [default: 10]")
@click.option("--batch-size", type=int, help="Samples in a batch.  [default: 32]")
@click.option("--seed", type=int, help="What all randomness starts from.")
@click.option(
    "--precision",
    type=click.Choice(["float32", "auto"]),
    help="auto computes in bfloat16 where the machine has it.",
)
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="Any other key of the train: section; VALUE is YAML.",
)
@click.option(
    "--init-from",
    type=click.Path(path_type=Path),
    metavar="WEIGHTS",
    help="Start from these weights; layers that they lack are drawn.",
)
@click.option(
    "--freeze",
    multiple=True,
    metavar="PATTERN",
    help="Names of layers that are not trained; * stands for any text.",
)
@click.option(
    "--strategy",
    type=click.Choice(["auto", "mirrored", "multi-worker"]),
    default="auto",
    show_default=True,
    help="All GPUs of this machine, or several machines by TF_CONFIG.",
)
@click.option(
    "--json-log", metavar="FILE", help="Write a line of JSON an epoch; - is standard output."
)
@click.option("--force", is_flag=True, help="Replace an earlier run, and FILE.safetensors.")
def command(
    model: Path,
    data: str,
    output: Path | None,
    run: Path | None,
    resume: bool,
    assignments: tuple[str, ...],
    init_from: Path | None,
    freeze: tuple[str, ...],
    strategy: Literal["auto", "mirrored", "multi-worker"],
    json_log: str | None,
    force: bool,
    **overrides: Any,
) -> None:
    """Train MODEL.yaml, and save the weights of its best epoch.

    MODEL may be a .keras or .h5 file too, whose weights training starts from.

    How is said by the train: section of the model file, and by options on top of it. Every epoch
    is kept in DIR: a run that was killed goes on with --resume, and ends with the weights that it
    would have had. Ctrl-C keeps the best weights so far.

    The best epoch is the one with the highest validation accuracy, or the lowest validation loss,
    or, where nothing is held back for validation (validation_split), the last; monitor: names
    another figure to go by. Keys of the train: section, all optional: optimizer, loss, metrics,
    epochs, batch_size, steps_per_epoch, validation_split, seed, augmentation, early_stopping,
    class_weight, precision, monitor.

    \b
    Examples:
      graphcnn train model.yaml --data mnist
      graphcnn train model.yaml --data images/ -o model.safetensors --epochs 20
      graphcnn train model.yaml --data images/ --resume
      graphcnn train model.yaml --data data.npz --set 'optimizer={sgd: {momentum: 0.9}}'
      graphcnn train model.yaml --data images/ --init-from vgg16.safetensors --freeze 'block*'
    """
    from graphcnn.datasets import read_model_data
    from graphcnn.frontends.model import load_model

    graph, own = load_model(model)
    recipe = _recipe(graph.recipe, assignments, overrides)
    output = output or model.with_suffix(".safetensors")
    _check_output(output, force or resume)
    initial = _read(init_from, graph) or own
    dataset = read_model_data(data, graph)

    from graphcnn.training import RunDirectory, train

    directory = RunDirectory(run or Path("runs") / model.stem)
    with epoch_lines(recipe.epochs, json_log) as progress:
        result = train(
            graph,
            dataset,
            recipe,
            directory,
            progress,
            initial=initial,
            freeze=freeze,
            strategy=strategy,
            resume=resume,
            force=force,
        )
    if result.weights is not None:
        result.weights.save(output)
    _conclude(result, output, directory.path)


def _check_output(output: Path, replace: bool) -> None:
    """Refuse a place for the weights before time is spent on them."""
    from graphcnn.errors import ExportError
    from graphcnn.files import check_target

    if output.suffix != ".safetensors":
        raise ExportError(f"{output}: weights are saved as .safetensors")
    if output.is_dir() or not output.parent.is_dir():
        raise ExportError(f"{output} is no place for a file", hint=f"mkdir -p {output.parent}")
    check_target(output, replace)


def _read(path: Path | None, graph: Graph) -> WeightStore | None:
    """The weights to start from, as far as the model has them."""
    from graphcnn.weights import WeightStore

    return WeightStore.read(path, graph.weights_by_node, partial=True) if path else None


def _conclude(result: TrainResult, output: Path, run: Path) -> None:
    """Say how it ended; an interrupt is the exit status of one."""
    interrupted = result.stopped == "interrupted"
    if interrupted:
        click.echo(f"interrupted in epoch {len(result.history) + 1}; --resume goes on", err=True)
    if result.stopped == "early":
        click.echo(f"stopped after epoch {len(result.history)}: no improvement", err=True)
    if result.weights is not None:
        click.echo(f"{output}: the weights of epoch {result.best}; the run is in {run}", err=True)
    if interrupted:
        sys.exit(130)


def _recipe(
    written: Recipe | None, assignments: Sequence[str], overrides: Mapping[str, Any]
) -> Recipe:
    """The model's recipe with the command line on top."""
    from graphcnn.recipe import Recipe

    given = {key: value for key, value in overrides.items() if value is not None}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not text.strip():
            raise click.UsageError(f"--set {assignment}: expected KEY=VALUE")
        given[key.strip()] = _yaml(assignment, text)
    return (written or Recipe()).with_overrides(**given)


def _yaml(assignment: str, text: str) -> Any:
    from graphcnn.frontends.document import parse_document

    return parse_document(text, f"--set {assignment}").plain() if text.strip() != "null" else None
