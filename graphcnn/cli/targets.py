"""``graphcnn targets``."""

from __future__ import annotations

import json

import click


@click.command("targets", short_help="List the runtimes that a file can be compiled for.")
@click.argument("names", nargs=-1, metavar="[TARGET]...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def command(names: tuple[str, ...], as_json: bool) -> None:
    """List the runtimes that compile --target knows, and what was measured of each.

    portable is all that were measured. With TARGET what each refuses is told too, and the
    operators that they take.

    \b
    Examples:
      graphcnn targets
      graphcnn targets opencv ncnn
      graphcnn targets --json | jq '.[].opset'
    """
    from graphcnn.report.console import show
    from graphcnn.report.targets import operators_text, refusals_table, targets_json, targets_table
    from graphcnn.targets import PROFILES, targets

    profiles = targets(names).profiles if names else tuple(PROFILES.values())
    if as_json:
        click.echo(json.dumps(targets_json(profiles), indent=2))
        return
    show(targets_table(profiles))
    if names:
        if any(profile.refused or profile.precisions for profile in profiles):
            show(refusals_table(profiles))
        show(operators_text(profiles))
