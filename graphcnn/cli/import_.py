"""``graphcnn import``: a file of Keras's to a model file and weights."""

from __future__ import annotations

from pathlib import Path

import click

from . import options


@click.command("import", short_help="Write a Keras model as a model file.")
@click.argument("model", metavar="MODEL.keras", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE.yaml",
    help="The model file; the weights go beside it, into FILE.safetensors.  "
    "[default: MODEL with .yaml]",
)
@click.option("--no-weights", is_flag=True, help="Write the model file alone.")
@options.input_shape
@click.option("--force", is_flag=True, help="Replace existing files.")
def command(
    model: Path,
    output: Path | None,
    no_weights: bool,
    shapes: dict[str, tuple[int, ...]],
    force: bool,
) -> None:
    """Write MODEL.keras, or a .h5 file, as a model file, and its weights as .safetensors.

    The two load as the same network. What cannot be imported is listed, and nothing is written
    then. Nothing in MODEL.keras is executed; TensorFlow is not needed.

    \b
    Examples:
      graphcnn import model.keras
      graphcnn import model.h5 -o model.yaml --input-shape 224,224,3
      graphcnn compile model.yaml --weights model.safetensors
    """
    from graphcnn.frontends.save import save_model

    written = save_model(
        model, output or model.with_suffix(".yaml"), shapes, weights=not no_weights, force=force
    )
    click.echo(
        f"{written.model}: {written.layers} layers, {written.params:,} parameters"
        + (f" in {written.weights}" if written.weights else ""),
        err=True,
    )
