"""``graphcnn diff``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence

import click

from . import options


@click.command("diff", short_help="Tell how two models differ, and what that costs.")
@click.argument("a", type=click.Path())
@click.argument("b", type=click.Path())
@options.printing
@options.input_shape
@click.option("--exit-code", is_flag=True, help="Exit with 1 when they differ.")
def command(
    a: str,
    b: str,
    form: str,
    as_json: bool,
    shapes: Mapping[str, Sequence[int]],
    exit_code: bool,
) -> None:
    """Tell how model B differs from model A.

    Both are model files (.yaml, .keras, .h5), or both are .onnx files of any tool. Prints the
    layers (of an .onnx file: the nodes) that were added, removed, renamed or changed, and the
    change in parameters, multiply-accumulates, activation memory and size, per layer and in total,
    for one sample. The values of weights are not compared: that is what graphcnn verify does.

    \b
    Examples:
      graphcnn diff old.yaml new.yaml
      graphcnn diff old.onnx new.onnx --json | jq .totals.macs
      graphcnn diff main.yaml branch.yaml --format markdown > comment.md
    """
    from graphcnn.difference import compare, open_model
    from graphcnn.report.console import show
    from graphcnn.report.difference import (
        difference_json,
        difference_markdown,
        difference_table,
    )

    difference = compare(open_model(a, shapes), open_model(b, shapes))
    if as_json or form == "json":
        click.echo(json.dumps(difference_json(difference, a, b), indent=2))
    elif form == "markdown":
        click.echo(difference_markdown(difference, a, b))
    else:
        show(difference_table(difference, a, b))
    if exit_code and difference:
        sys.exit(1)
