"""``graphcnn report``: a network as one HTML page."""

from __future__ import annotations

from pathlib import Path

import click

from . import options


@click.command("report", short_help="Write a page that shows a model: graph, costs, passes.")
@click.argument("model", type=click.Path())
@click.option(
    "--weights",
    type=click.Path(),
    help="A .safetensors, .npz, .weights.h5, .keras or .h5 file, to show what its numbers are like "
    "and which are equal.",
)
@click.option(
    "--run",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="A run's directory, or its log: its training curves are shown too.",
)
@options.input_shape
@click.option(
    "-o",
    "--output",
    default="report.html",
    show_default=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The page to write.",
)
@click.option("--force", is_flag=True, help="Replace an existing file.")
def command(
    model: str,
    weights: str | None,
    run: Path | None,
    shapes: dict[str, tuple[int, ...]],
    output: Path,
    force: bool,
) -> None:
    """Write one HTML page that shows MODEL, and that any browser opens without a network.

    MODEL is a model file, or a .keras or .h5 file, whose weights are taken along. The page has the
    graph with its blocks, every layer's costs, memory over the order of execution, receptive
    fields, and what each pass of the compiler did to it or why not. Nothing is compiled.

    \b
    Examples:
      graphcnn report model.yaml
      graphcnn report model.yaml --run runs/model --weights runs/model/best.safetensors
      graphcnn report model.keras --input-shape 320,320,3 -o model.html --force
    """
    from graphcnn.files import check_target, replacing
    from graphcnn.passes import run_passes
    from graphcnn.pipeline import pipeline
    from graphcnn.report.history import best_epoch, read_history, read_monitor
    from graphcnn.report.page import Training, document, page_data
    from graphcnn.weights import WeightStore

    check_target(output, force)
    training = None
    if run:
        history = read_history(run)
        training = Training(str(run), history, best_epoch(history, read_monitor(run)))
    graph, store = options.read_model(model, weights, shapes)
    if isinstance(store, str):
        store = WeightStore.read(store, graph.weights_by_node)
    if store:
        store.check(graph.weights)
    steps = pipeline("nchw", weights=store)
    optimized, records = run_passes(graph, steps)
    data = page_data(
        graph,
        optimized,
        steps,
        records,
        file=Path(model).name,
        weights=store,
        training=training,
    )
    text = document(data)
    with replacing(output) as partial:
        partial.write_text(text, encoding="utf-8")
    click.echo(f"saved in {output}: {len(text.encode()):,} bytes")
