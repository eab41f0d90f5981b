"""``graphcnn schema``: the JSON Schema of model files, for editors."""

from __future__ import annotations

import json

import click


@click.command("schema", short_help="Print the JSON Schema of model files.")
def command() -> None:
    """Print the JSON Schema of model files, for completion and checks in an editor.

    \b
    Example:
      graphcnn schema > graphcnn.schema.json
    """
    from graphcnn.frontends.schema import model_schema

    click.echo(json.dumps(model_schema(), indent=2))
