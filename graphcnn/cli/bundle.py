"""``graphcnn bundle``."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from graphcnn.bundle import WebBundle


_MOST_LISTED = 8


@click.group("bundle", short_help="Write a folder that runs a model: a page for the browser.")
def command() -> None:
    """Write a folder that has a model and all that runs it.

    \b
    Examples:
      graphcnn bundle web model.onnx -o site
    """


@command.command("web")
@click.argument("model", type=click.Path(path_type=Path), metavar="MODEL.onnx")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder to write.",
)
@click.option(
    "--onnxruntime-web",
    "runtime",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The package's folder.  [default: in node_modules here, or in a folder above]",
)
@click.option(
    "--scores",
    metavar="NAME",
    help="The output that scores classes, where several outputs may.",
)
@click.option(
    "--force",
    is_flag=True,
    help="Replace files in an existing folder; others in it stay.",
)
def web(model: Path, output: Path, runtime: Path | None, scores: str | None, force: bool) -> None:
    """Write a page that runs MODEL.onnx in the browser, for any static server.

    The page takes an image, the camera or, where images are 28x28 and grey, a drawing. It shows the
    top classes, the time that took, and the feature maps of the layers that compile --taps named.
    Nothing leaves the browser. What runs the model is copied from onnxruntime-web, a package of
    npm: npm install onnxruntime-web.

    \b
    Examples:
      graphcnn compile model.yaml --weights w.safetensors --taps conv1,conv2 -o model.onnx
      graphcnn bundle web model.onnx -o site
      python3 -m http.server --directory site
    """
    from graphcnn.bundle import bundle_web

    _tell(bundle_web(model, output, runtime, scores, force))


def _tell(made: WebBundle) -> None:
    from graphcnn.report.format import printable, size_in_bytes

    contract, sizes, scores = made.contract, made.sizes, made.contract.scores
    model = sum(size for name, size in sizes.items() if name.startswith("model.onnx"))
    runtime = size_in_bytes(sum(sizes[name] for name in made.runtime.files))
    scored = f"the {scores.count} highest scores" if scores.indices else f"{scores.count} scores"
    place = shlex.quote(str(made.folder))
    rows = {
        "input": f"{printable(contract.image.name)}: {contract.image}",
        "note": ""
        if made.by_graphcnn
        else "graphcnn did not write it: it is given raw pixels, 0 to 255",
        "output": f"{printable(scores.name)}: {scored}",
        "maps": _listed([item.name for item in contract.maps]),
        "unshown": _listed(contract.unshown),
        "size": f"model {size_in_bytes(model)}, onnxruntime-web {made.runtime.version} {runtime}",
        "serve": f"python3 -m http.server --bind localhost --directory {place}",
        "open": "http://localhost:8000/",
    }
    click.echo(f"saved in {made.folder}: {len(sizes)} files, {size_in_bytes(sum(sizes.values()))}")
    for label, text in rows.items():
        if text:
            click.echo(f"  {label:<8} {text}")


def _listed(names: Sequence[str]) -> str:
    from graphcnn.report.format import printable

    left = len(names) - _MOST_LISTED
    more = [f"and {left} more"] if left > 0 else []
    return ", ".join([*map(printable, names[:_MOST_LISTED]), *more])
