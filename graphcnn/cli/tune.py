"""``graphcnn tune``: the fastest or smallest way to run a model on this machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from . import options as shared


@click.command("tune", short_help="Find the fastest way to run a model on this machine.")
@click.argument("model", type=click.Path())
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="A new or an empty folder to write.",
)
@shared.weights
@shared.data
@shared.input_shape
@shared.accuracy_budget(default="accuracy=0.002")
@click.option(
    "--objective",
    type=click.Choice(["latency", "throughput", "size"]),
    default="latency",
    show_default=True,
    help="The shortest run, the most samples a second, or the smallest file that is not slower.",
)
@click.option(
    "--time-limit",
    type=click.FloatRange(min=0, min_open=True),
    callback=shared.finite,
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="After this it is decided by what was found.",
)
@click.option(
    "--batch",
    type=click.IntRange(1),
    help="The samples of a run.  [default: 1; up to 64 for throughput]",
)
@click.option("--force", is_flag=True, help="Replace files in DIR; others in it stay.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    model: str,
    output: Path,
    weights: str | None,
    shapes: Any,
    budget: str,
    as_json: bool,
    **options: Any,
) -> None:
    """Find the fastest way to run MODEL on this machine, and write it to DIR.

    MODEL is a model file with --weights, or a .keras or .h5 file. It is compiled in float32, with
    weights in float16, in integers of 8 bits, and in integers but for the layers that are slower
    so; files outside the budget are dropped. The others run in turns, with several numbers of
    threads, levels of optimization, input layouts and the installed providers, and the slower half
    is dropped again and again. What is left is compared with the plain float32 file once more, and
    what is not faster by the whole 95 % interval is not chosen.

    DIR gets the .onnx file, deploy.json (the settings, which run, evaluate and graphcnn.Session
    apply), candidates.json (all that was tried) and pareto.png (with matplotlib installed). With an
    interrupt nothing is left.

    \b
    Examples:
      graphcnn tune model.yaml --weights model.safetensors --data mnist -o tuned
      graphcnn tune model.keras --data photos/ --objective throughput -o tuned
      graphcnn tune model.yaml --weights w.npz --data x.npy --budget snr=30 -o tuned
    """
    from graphcnn.quantization import Limit
    from graphcnn.report.console import show
    from graphcnn.report.tuning import tuning_json, tuning_table
    from graphcnn.tuning import PICTURE, tune

    limit = Limit.parse(budget)
    graph, given = shared.read_model(model, weights, shapes)
    if given is None:
        raise click.UsageError(f"{model} needs --weights; .keras files have their own")
    name = Path(model).stem
    with _bar() as told:
        report = tune(graph, output, weights=given, limit=limit, name=name, told=told, **options)
    if as_json:
        click.echo(json.dumps(tuning_json(report), allow_nan=False))
    else:
        show(tuning_table(report))
    click.echo(
        f"written to {output}: {', '.join(sorted(p.name for p in output.iterdir()))}", err=True
    )
    if find_spec("matplotlib") is None:
        click.echo(f"no {PICTURE}: pip install 'graphcnn[plot]' brings what draws it", err=True)


@contextmanager
def _bar() -> Iterator[Any]:
    """What is being done, and a bar of the time, on a terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda stage, gone, limit: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TimeElapsedColumn

    columns = (
        BarColumn(),
        TimeElapsedColumn(),
        "of {task.fields[limit]:.0f} s  {task.description}",
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, limit=0.0)
        yield lambda stage, gone, limit: bar.update(
            task, completed=min(gone, limit), total=limit, limit=limit, description=escape(stage)
        )
