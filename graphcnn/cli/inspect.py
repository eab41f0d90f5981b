"""``graphcnn inspect``."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command("inspect", short_help="Tell what an .onnx file holds, and where it came from.")
@click.argument("model", metavar="FILE.onnx", type=click.Path(path_type=Path))
@click.option(
    "--node", metavar="NAME", help="Tell of one node, and of the layers that went into it."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(model: Path, node: str | None, as_json: bool) -> None:
    """Tell what an .onnx file of any tool holds, without loading its weights.

    NAME is a node, a value, a weight or an input of the file, a layer of the model file (also one
    that went into another), or what onnxruntime's profiler prints, such as conv1_nchwc_kernel_time.
    Of a file that graphcnn wrote it prints every layer that went into the node, with the line of
    the model file, and the passes that did it.

    \b
    Examples:
      graphcnn inspect model.onnx
      graphcnn inspect model.onnx --node conv1
      graphcnn inspect model.onnx --json | jq .nodes_by_type
    """
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
