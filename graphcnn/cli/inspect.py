"""``graphcnn inspect``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from . import options as shared


@click.command("inspect", short_help="Tell what an .onnx file holds, and where it came from.")
@click.argument("model", metavar="FILE.onnx", type=click.Path(path_type=Path))
@click.option(
    "--node", metavar="NAME", help="Tell of one node, and of the layers that went into it."
)
@shared.names(
    "--target",
    metavar="T,...",
    help="Check it against the runtimes that it is meant for, as targets lists them: exit status 1 "
    "where one does not take it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(model: Path, node: str | None, target: str | None, as_json: bool) -> None:
    """Tell what an .onnx file of any tool holds, without loading its weights.

    NAME is a node, a value, a weight or an input of the file, a layer of the model file (also one
    that went into another), or what onnxruntime's profiler prints, such as conv1_nchwc_kernel_time.
    Of a file that graphcnn wrote it prints every layer that went into the node, with the line of
    the model file, and the passes that did it.

    \b
    Examples:
      graphcnn inspect model.onnx
      graphcnn inspect model.onnx --node conv1
      graphcnn inspect model.onnx --target opencv,ncnn
      graphcnn inspect model.onnx --json | jq .nodes_by_type
    """
    if target is not None:
        if node is not None:
            raise click.UsageError("--node and --target are two questions")
        _check(model, target, as_json)
        return
    from graphcnn.onnx_file import find_nodes, read_onnx_file
    from graphcnn.report.console import show
    from graphcnn.report.inspection import file_json, file_table, nodes_json, nodes_table

    file = read_onnx_file(model)
    if node is None:
        found, table = file_json(file), file_table(file)
    else:
        nodes = find_nodes(file, node)
        found, table = nodes_json(file, nodes), nodes_table(file, nodes)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        show(table)


def _check(model: Path, target: str, as_json: bool) -> None:
    """Print what of a file its targets do not take, and exit with 1 if there is any."""
    from graphcnn.errors import CheckFailed
    from graphcnn.onnx_file.fit import misfits
    from graphcnn.onnx_structure import read_structure
    from graphcnn.report.console import show
    from graphcnn.report.targets import fit_json, fit_table
    from graphcnn.targets import targets

    runtimes = targets(target)
    found = misfits(read_structure(model), runtimes)
    if as_json:
        click.echo(json.dumps(fit_json(str(model), runtimes, found), indent=2))
    else:
        show(fit_table(str(model), runtimes, found))
    if found:
        raise CheckFailed(f"{model} does not fit {', '.join(runtimes.names)}")
