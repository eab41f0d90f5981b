"""``graphcnn run``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import options

if TYPE_CHECKING:
    from graphcnn.runtime.settings import Provider


@click.command("run", short_help="Run an .onnx file on arrays or images.")
@click.argument("model", metavar="MODEL.onnx", type=click.Path(path_type=Path))
@click.argument(
    "inputs", metavar="INPUT...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@options.deployed_provider
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    metavar="K",
    help="How many of the highest scores of each sample to list.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="OUT.npz",
    help="Save all outputs, by their names.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--force", is_flag=True, help="Replace OUT.npz if it exists.")
def command(
    model: Path,
    inputs: tuple[Path, ...],
    provider: Provider | None,
    top: int,
    output: Path | None,
    as_json: bool,
    force: bool,
) -> None:
    """Run a compiled model and print what comes out.

    Each INPUT is a .npy file, an .npz file with an array for each of the model's inputs, or an
    image (PNG, JPEG, BMP, GIF). An array is taken as it is, in the model's own layout; a batch or a
    single channel that is left out is added. An image is converted to the model's channels, order
    of colours, height, width and layout, as numbers from 0 to 255: scaling them is for the model's
    own Rescaling or Normalization layer. The settings that graphcnn tune wrote in deploy.json
    beside the file apply.

    Rows of scores print as the highest of each sample, other outputs as their numbers or, where
    they are large, the least, the mean and the greatest. In JSON, numbers that are not finite are
    the strings "NaN", "Infinity" and "-Infinity", and the values of an output of more than 10,000
    elements are null.

    \b
    Examples:
      graphcnn run model.onnx photo.png
      graphcnn run model.onnx photos/*.jpg --top 1
      graphcnn run model.onnx batch.npy --provider cuda --top 3
      graphcnn run model.onnx inputs.npz -o outputs.npz --json
    """
    import json

    from graphcnn.files import check_target
    from graphcnn.report.console import show
    from graphcnn.report.results import results_json, results_table
    from graphcnn.runtime.run import run_files

    if output:
        check_target(output, force)
    result = run_files(model, inputs, provider)
    if output:
        result.save(output)
    if as_json:
        click.echo(json.dumps(results_json(result, top), allow_nan=False))
        return
    show(results_table(result, top))
    if output:
        click.echo(f"saved in {output}")
