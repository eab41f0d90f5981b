"""``graphcnn bench``: how fast .onnx files run here, and which of their layers take the time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import options as shared
from .plot import check_output
from .progress import samples_bar

if TYPE_CHECKING:
    from graphcnn.bench.files import FileTiming
    from graphcnn.bench.layers import LayerReport
    from graphcnn.bench.machine import Roof
    from graphcnn.runtime.settings import Settings

    _File = tuple[Path, Settings]

_Shapes = Mapping[str, Sequence[int]]


@click.command("bench", short_help="Measure how fast .onnx files run, whole or by layer.")
@click.argument(
    "paths", metavar="FILE.onnx...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--batch",
    "batches",
    callback=shared.batch_sizes,
    metavar="N,...",
    help="How many samples run at once.  [default: what the file fixes, else 1]",
)
@click.option(
    "--threads",
    type=click.IntRange(1, 1024),
    help="How many threads compute one operator.  [default: as deploy.json says, else as "
    "onnxruntime chooses]",
)
@shared.deployed_provider
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, 3600),
    callback=shared.finite,
    default=2.0,
    show_default=True,
    help="How long each file runs, at each batch.",
)
@shared.input_shape
@click.option(
    "--per-layer", is_flag=True, help="Measure each layer against what this machine can do."
)
@click.option(
    "--plot",
    "picture",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Draw the layers under this machine's roofs, by the ending .png or .svg.",
)
@click.option("--force", is_flag=True, help="Replace an existing picture.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    paths: tuple[Path, ...],
    batches: tuple[int, ...],
    seconds: float,
    shapes: _Shapes,
    per_layer: bool,
    picture: Path | None,
    force: bool,
    as_json: bool,
    **overrides: Any,
) -> None:
    """Measure how fast each FILE.onnx runs in onnxruntime on random input.

    Each file has a process of its own. They run in turns, one at a time, in an order drawn anew for
    every turn, so that other load on the machine falls on all alike; the ratio to the first file
    comes with the interval that holds it at 95 %. Where that holds 1, no difference is shown. The
    settings that graphcnn tune wrote in deploy.json beside a file apply.

    --per-layer adds onnxruntime's own profile up by the layers of the model file, and sets the
    operations and bytes of each against the matrix products and the memory of this machine,
    measured with the same settings.

    \b
    Examples:
      graphcnn bench model.onnx
      graphcnn bench model.onnx other.onnx --batch 1,8,64
      graphcnn bench model.onnx --per-layer --threads 1
      graphcnn bench model.onnx --batch 8 --plot roofline.png
      graphcnn bench a.onnx b.onnx --json | jq '.files[1].ratio'
    """
    from graphcnn.bench.files import deployed_settings, own_batches

    given = {name: value for name, value in overrides.items() if value is not None}
    files = [(path, deployed_settings(path, given)) for path in paths]
    batches = batches or own_batches(paths)
    if picture:
        if len(files) * len(batches) > 1:
            raise click.UsageError("--plot draws one file at one batch")
        check_output(picture, force)
    if per_layer or picture:
        _show_layers(_layers(files, batches, seconds, shapes), picture, as_json)
    else:
        _show_files(_timings(files, batches, seconds, shapes), as_json)


def _timings(
    files: Sequence[_File], batches: Sequence[int], seconds: float, shapes: _Shapes
) -> list[FileTiming]:
    from graphcnn.bench.files import measure_files

    found = []
    for batch in batches:
        with samples_bar(f"batch {batch}") as progress:
            found += measure_files(files, batch, seconds, shapes, progress)
    return found


def _layers(
    files: Sequence[_File], batches: Sequence[int], seconds: float, shapes: _Shapes
) -> list[LayerReport]:
    from graphcnn.bench.layers import measure_layers

    roofs: dict[Settings, Roof] = {}
    found = []
    for path, settings in files:
        for batch in batches:
            with samples_bar(f"{path.name}, batch {batch}") as progress:
                roof = roofs.get(settings)
                report = measure_layers(path, settings, batch, seconds, roof, shapes, progress)
            roofs[settings] = report.roof
            found.append(report)
    return found


def _show_files(found: Sequence[FileTiming], as_json: bool) -> None:
    from graphcnn.report.bench import files_json, files_table
    from graphcnn.report.console import show

    if as_json:
        click.echo(json.dumps({"files": files_json(found)}, allow_nan=False))
    else:
        show(files_table(found))


def _show_layers(found: Sequence[LayerReport], picture: Path | None, as_json: bool) -> None:
    from graphcnn.report.bench import layers_json, layers_table
    from graphcnn.report.console import show

    if picture:
        from graphcnn.report.figure import save_figure
        from graphcnn.report.roofline import draw_roofline

        save_figure(draw_roofline(found[0]), picture)
    if as_json:
        click.echo(json.dumps({"files": [layers_json(one) for one in found]}, allow_nan=False))
        return
    for report in found:
        show(layers_table(report))
    if picture:
        click.echo(f"saved in {picture}")
