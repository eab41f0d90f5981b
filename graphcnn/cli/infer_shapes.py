"""``graphcnn infer-shapes``: everything that is known before a weight exists."""

from __future__ import annotations

import json

import click

from . import options


@click.command("infer-shapes", short_help="Print every shape and cost of a model file.")
@click.argument("model", type=click.Path())
@options.printing
@click.option("--batch", type=click.IntRange(1), help="Show this batch size in the shapes.")
@options.input_shape
@click.option(
    "--budget",
    multiple=True,
    metavar="NAME=LIMIT",
    help="A limit to hold, such as params=500k; also macs, peak_activation_bytes, model_bytes.",
)
def command(
    model: str,
    form: str,
    as_json: bool,
    batch: int | None,
    shapes: dict[str, tuple[int, ...]],
    budget: tuple[str, ...],
) -> None:
    """Print every shape, parameter, multiply-accumulate and byte of MODEL.

    MODEL is a model file, or a .keras or .h5 file. Figures are of one sample. Exits with 1 when a
    budget does not hold.

    \b
    Examples:
      graphcnn infer-shapes model.yaml
      graphcnn infer-shapes model.keras --input-shape 320,320,3
      graphcnn infer-shapes model.yaml --json | jq .macs
      graphcnn infer-shapes model.yaml --budget params=500k --budget macs=10M
    """
    from graphcnn.frontends.model import load
    from graphcnn.passes import enforce_budget, summarize
    from graphcnn.report.console import show
    from graphcnn.report.summary import summary_json, summary_markdown, summary_table

    graph = load(model, shapes)
    limits = graph.budget.with_limits(budget)
    graph.batch = batch
    summary = summarize(graph)
    if as_json or form == "json":
        click.echo(json.dumps(summary_json(summary), indent=2))
    elif form == "markdown":
        click.echo(summary_markdown(summary))
    else:
        show(summary_table(summary))
    enforce_budget(limits, summary)
