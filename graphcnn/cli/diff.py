"""``graphcnn diff``."""

from __future__ import annotations

import json
import re
import sys

import click


@click.command("diff", short_help="Tell how two models differ, and what that costs.")
@click.argument("a", type=click.Path())
@click.argument("b", type=click.Path())
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "markdown"]),
    default="table",
    help="How to print it.  [default: table]",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "--input-shape",
    "shapes",
    multiple=True,
    metavar="[NAME=]SIZES",
    help="Sizes for an input that leaves some open, such as image=224,224,3.",
)
@click.option("--exit-code", is_flag=True, help="Exit with 1 when they differ.")
def command(
    a: str, b: str, form: str, as_json: bool, shapes: tuple[str, ...], exit_code: bool
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

    sizes = dict(map(_sizes, shapes))
    difference = compare(open_model(a, sizes), open_model(b, sizes))
    if as_json or form == "json":
        click.echo(json.dumps(difference_json(difference, a, b), indent=2))
    elif form == "markdown":
        click.echo(difference_markdown(difference, a, b))
    else:
        show(difference_table(difference, a, b))
    if exit_code and difference:
        sys.exit(1)


def _sizes(text: str) -> tuple[str, tuple[int, ...]]:
    """An input's name, empty for the only one, and the sizes of one sample."""
    name, _, sizes = text.rpartition("=")
    numbers = sizes.split(",")
    if not all(re.fullmatch(r"[1-9][0-9]{0,8}", number) for number in numbers):
        raise click.UsageError(f"--input-shape {text}: expected sizes such as image=224,224,3")
    return name, tuple(map(int, numbers))
