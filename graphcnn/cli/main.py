"""The `graphcnn` command, and what every subcommand shares: errors, exit codes, interrupts."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import click

from graphcnn.errors import GraphCNNError

from . import (
    bench,
    bundle,
    diff,
    evaluate,
    import_,
    infer_shapes,
    inspect,
    plot,
    report,
    run,
    schema,
    targets,
    train,
    tune,
    verify,
)
from . import compile as compile_command

_MOST_ERRORS = 20
"""More errors than this in one file are counted rather than printed."""


class _Commands(click.Group):
    """Ends as others do when nobody reads on: click and rich exit with 1, as of a failed check."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand."""
        try:
            return super().invoke(ctx)
        except (BrokenPipeError, SystemExit) as error:
            if not any(isinstance(e, BrokenPipeError) for e in (error, error.__context__)):
                raise
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(141)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 done, 1 a check did not hold, 2 bad input or usage.",
)
@click.version_option(package_name="graphcnn", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Print the Python traceback of an error.")
def cli(debug: bool) -> None:
    """Compile convolutional networks to small, verified .onnx files.

    \b
    Examples:
      graphcnn infer-shapes model.yaml
      graphcnn train model.yaml --data mnist
      graphcnn compile model.yaml -o model.onnx --weights model.safetensors
      graphcnn compile model.keras -o model.onnx
      graphcnn verify model.keras model.onnx
      graphcnn run model.onnx photo.png
    """


for module in (
    infer_shapes,
    train,
    compile_command,
    import_,
    inspect,
    diff,
    run,
    evaluate,
    bench,
    tune,
    plot,
    report,
    bundle,
    schema,
    targets,
    verify,
):
    cli.add_command(module.command)


def main() -> None:
    """Run the command line, and turn errors into messages and exit codes."""
    debug = "--debug" in sys.argv[1:2]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        cli(prog_name="graphcnn", standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort):
        if debug:
            raise
        _complain("interrupted")
        sys.exit(130)
    except GraphCNNError as error:
        if debug:
            raise
        _print_errors(error)
        sys.exit(error.exit_code)
    except Exception as error:
        if debug:
            raise
        _complain(
            f"internal error: {type(error).__name__}: {error}\n"
            "  hint     this is a defect in graphcnn; graphcnn --debug ... prints where"
        )
        sys.exit(2)


def _print_errors(error: GraphCNNError) -> None:
    for one in error.errors[:_MOST_ERRORS]:
        _complain(str(one))
    left = len(error.errors) - _MOST_ERRORS
    if left > 0:
        _complain(f"and {left} more errors")


def _complain(text: str) -> None:
    head, *rest = text.split("\n")
    colour = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    click.echo(
        "\n".join([click.style(head, fg="red", bold=True) if colour else head, *rest]), err=True
    )
