"""``graphcnn compile``: a model file to an .onnx file."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import options as shared
from .progress import stages_bar

if TYPE_CHECKING:
    from graphcnn.compiler import CompileReport
    from graphcnn.embedding import Camera
    from graphcnn.quantization import Quantization

_STDOUT = "-"

_INTEGERS = ("data", "budget", "calibration", "calibration_samples", "keep_float", "sensitivity")


@click.command("compile", short_help="Compile a model file to a checked .onnx file.")
@click.argument("model", type=click.Path())
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    help="The file to write; - is standard output.  [default: MODEL with .onnx]",
)
@shared.weights
@shared.input_shape
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="What weights are drawn from when none are given.",
)
@click.option("--batch", type=click.IntRange(1), help="Fix the batch size.  [default: any]")
@click.option(
    "--input-layout",
    type=click.Choice(["nchw", "nhwc"]),
    help="Channels first or last, for inputs and outputs.  [default: nchw; nhwc with --preprocess]",
)
@click.option(
    "--preprocess",
    type=click.Choice(["embed"]),
    help="embed: the file takes images as a camera gives them, uint8 from 0 to 255; the model's "
    "own scaling is folded into the first convolution where that is exact.",
)
@click.option(
    "--camera-colors",
    type=click.Choice(["rgb", "bgr"]),
    help="With --preprocess: the order of the camera's channels.  [default: rgb]",
)
@click.option(
    "--camera-size",
    metavar="HxW",
    callback=shared.image_size,
    help="With --preprocess: the camera's height and width, resized in the file (bilinear) to the "
    "model's.  [default: the model's]",
)
@click.option(
    "--postprocess",
    metavar="topK",
    help="Give the K highest scores, NAME_topK, and their classes, NAME_topK_classes, in place of "
    "the output NAME.",
)
@shared.names(
    "--target",
    metavar="T,...",
    help="Where the file will run, as targets lists them: what one of these does not take is "
    "written in another form, or refused.  [default: portable, all that were measured; onnxruntime "
    "with int8, fp16-body, --preprocess, --postprocess, a --batch of several or open sizes, which "
    "not every one takes]",
)
@click.option("--opset", type=int, help="The version of ONNX's operators.  [default: 17]")
@click.option(
    "--external-data",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Weights in a file of their own; auto is past 2 GiB.",
)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "fp16-body", "int8"]),
    default="fp32",
    show_default=True,
    help="fp16 halves the file: weights are stored so, and computed with in float32; fp16-body "
    "computes in float16 as well; int8 quarters it, and computes in 8-bit integers.",
)
@click.option(
    "--data",
    metavar="DATA",
    help="What int8 is calibrated on, and losses are measured on: data as evaluate takes them, or "
    "a .npy file of samples without labels.",
)
@shared.accuracy_budget()
@click.option(
    "--calibration",
    type=click.Choice(["minmax", "entropy", "percentile"]),
    default="minmax",
    show_default=True,
    help="How the range of an int8 activation is chosen.",
)
@click.option(
    "--calibration-samples",
    type=click.IntRange(1),
    default=512,
    show_default=True,
    help="How many samples it is measured on.",
)
@shared.names(
    "--keep-float",
    metavar="NAME,...",
    help="Layers that int8 leaves in float32.",
)
@click.option(
    "--sensitivity",
    is_flag=True,
    help="Measure what each layer alone loses in int8, also where the budget holds.",
)
@shared.names(
    "--taps",
    metavar="NAME,...",
    help="Layers whose values become outputs; or all.",
)
@click.option("--no-verify", is_flag=True, help="Do not run the file once in onnxruntime.")
@shared.names(
    "--disable",
    metavar="PASS,...",
    help="Optimising passes to leave out, as --explain names them; or all.",
)
@click.option(
    "--validate", is_flag=True, help="Run the network before and after each pass, and compare."
)
@click.option("--print-after", multiple=True, metavar="PASS", help="Print the graph after a pass.")
@click.option("--time-passes", is_flag=True, help="Print how long each pass took.")
@click.option("--explain", is_flag=True, help="Print what each pass did, and why.")
@click.option("--force", is_flag=True, help="Replace an existing file.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(model: str, output: str | None, **options: Any) -> None:
    """Compile MODEL to a small, checked .onnx file.

    MODEL is a model file, or a .keras or .h5 file, whose weights are taken along. OUT appears when
    it is complete: after a failure or an interrupt nothing is left.

    \b
    Examples:
      graphcnn compile model.yaml -o model.onnx
      graphcnn compile model.yaml --weights model.safetensors --batch 1
      graphcnn compile model.yaml --weights model.safetensors --precision fp16
      graphcnn compile model.keras --precision int8 --data photos/ --budget accuracy=0.002
      graphcnn compile model.keras --input-shape 224,224,3
      graphcnn compile model.yaml --target opencv,ncnn
      graphcnn compile model.yaml --preprocess embed --camera-colors bgr --camera-size 480x640
      graphcnn compile model.yaml --preprocess embed --postprocess top5
      graphcnn compile model.yaml --taps all -o features.onnx
      graphcnn compile model.yaml -o - | ssh device 'cat > model.onnx'
    """
    from graphcnn.compiler import compile as compile_graph

    graph, options["weights"] = shared.read_model(model, options["weights"], options.pop("shapes"))
    target = output or str(Path(model).with_suffix(".onnx"))
    as_json, explain, timed = (options.pop(k) for k in ("as_json", "explain", "time_passes"))
    options["verify"] = not options.pop("no_verify")
    for key in ("taps", "disable", "keep_float"):
        names = (options[key] or "").split(",")
        options[key] = [name.strip() for name in names if name.strip()]
    options["preprocess"] = _camera(options)
    options["quantization"] = _quantization(options)
    if Path(target).resolve() == Path(model).resolve():
        raise click.UsageError(f"{target} is the model file itself")
    with _destination(target) as path, stages_bar() as stages:
        progress = partial(stages, "writing weights")
        report = compile_graph(graph, path, progress=progress, stages=stages, **options)
    _print_passes(report, explain, timed)
    if as_json:
        click.echo(json.dumps(_as_json(report, target)), err=target == _STDOUT)
        return
    click.echo(
        f"{'standard output' if target == _STDOUT else target}: {report.bytes:,} bytes, "
        f"{report.nodes} node{'s' * (report.nodes != 1)}, {report.params:,} parameters "
        f"({report.weights}), {report.seconds:.2f} s; for {', '.join(report.targets)}; "
        f"{report.verified}",
        err=True,
    )
    _print_quality(report)


def _camera(options: dict[str, Any]) -> Camera | None:
    """What the options say of the camera, taken out of them."""
    embed, colors, size = (options.pop(k) for k in ("preprocess", "camera_colors", "camera_size"))
    if embed is None:
        if colors or size:
            raise click.UsageError("--camera-colors and --camera-size are for --preprocess embed")
        return None
    from graphcnn.embedding import Camera

    return Camera(colors=colors or "rgb", size=size)


def _quantization(options: dict[str, Any]) -> Quantization | None:
    """What the options say of data and losses, taken out of them."""
    data, budget, method, samples, floats, rank = (options.pop(key) for key in _INTEGERS)
    integers = options["precision"] == "int8"
    if (floats or rank) and not integers:
        raise click.UsageError("--keep-float and --sensitivity are for --precision int8")
    if data is None:
        if budget:
            raise click.UsageError("--budget needs --data to measure the loss on")
        return None
    from graphcnn.quantization import Limit, Quantization

    limit = Limit.parse(budget) if budget else None
    return Quantization(
        data=data, limit=limit, method=method, samples=samples, floats=tuple(floats), rank=rank
    )


def _print_quality(report: CompileReport) -> None:
    if report.quality is None:
        return
    from graphcnn.report.console import show
    from graphcnn.report.quantization import quality_line, quantization_table

    if report.quantization:
        show(quantization_table(report.quantization), stderr=True)
    else:
        click.echo(quality_line(report.quality), err=True)


def _quality_json(report: CompileReport) -> dict[str, Any]:
    if report.quality is None:
        return {}
    from graphcnn.report.quantization import quality_json, quantization_json

    integers = report.quantization
    return {
        "quality": quality_json(report.quality),
        "quantization": quantization_json(integers) if integers else None,
    }


@contextmanager
def _destination(target: str) -> Iterator[Path]:
    """The file to write: for standard output a temporary one, sent when it is complete."""
    if target != _STDOUT:
        yield Path(target)
        return
    with tempfile.TemporaryDirectory(prefix="graphcnn-") as folder:
        path = Path(folder) / "model.onnx"
        yield path
        if path.with_name(f"{path.name}.data").exists():
            from graphcnn.errors import ExportError

            raise ExportError("external data cannot go to standard output", hint="-o FILE.onnx")
        with path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()


def _print_passes(report: CompileReport, explain: bool, timed: bool) -> None:
    for record in report.passes:
        if record.printed:
            click.echo(f"after {record.name}:\n{record.printed}", err=True)
        if timed:
            click.echo(f"{record.name}: {record.seconds * 1000:.1f} ms", err=True)
        if explain:
            lines = [f"{record.name}: {node}: {reason}" for node, reason in record.reasons]
            click.echo("\n".join(lines or [f"{record.name}: nothing to do"]), err=True)


def _as_json(report: CompileReport, target: str) -> dict[str, Any]:
    return {
        "path": target,
        "bytes": report.bytes,
        "nodes": report.nodes,
        "params": report.params,
        "weights": report.weights,
        "targets": list(report.targets),
        "verified": report.verified,
        "seconds": round(report.seconds, 3),
        **_quality_json(report),
        "passes": [
            {
                "name": record.name,
                "milliseconds": round(record.seconds * 1000, 3),
                "changed": record.changed,
                "reasons": [{"node": node, "reason": reason} for node, reason in record.reasons],
            }
            for record in report.passes
        ],
    }
