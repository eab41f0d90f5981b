"""``graphcnn verify``: whether two models give the same, for people and for CI."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from . import options as shared
from .progress import samples_bar


@click.command("verify", short_help="Tell whether two models give the same.")
@click.argument("a", type=click.Path())
@click.argument("b", type=click.Path())
@click.option("--weights", type=click.Path(), help="The weights of each side that is a model file.")
@click.option("--weights-a", type=click.Path(), help="The weights of A, where they are others.")
@click.option("--weights-b", type=click.Path(), help="The weights of B, where they are others.")
@click.option(
    "--random",
    type=click.IntRange(1),
    metavar="N",
    help="Run them on N random samples.  [default: 8]",
)
@click.option(
    "--range",
    "limits",
    type=float,
    nargs=2,
    metavar="LOW HIGH",
    help="Random numbers are uniform; without it they are of a standard normal distribution, and "
    "0 to 255 where an input takes integers.",
)
@click.option(
    "--data",
    metavar="DATA",
    help="Run them on a .npy or .npz file, an image, or what train and evaluate take.",
)
@click.option(
    "--rtol", type=float, help="See above.  [default: 1e-4; by precision where one is stated]"
)
@click.option(
    "--atol", type=float, help="See above.  [default: 1e-6; by precision where one is stated]"
)
@shared.names(
    "--runtime",
    "runtimes",
    metavar="NAMES",
    help="Run B, an .onnx file, in these runtimes, separated by commas; all: the installed ones.",
)
@click.option(
    "--batch",
    "batches",
    callback=shared.batch_sizes,
    metavar="N,...",
    help="With --runtime: the samples run at once.  [default: 1,3]",
)
@click.option("--per-layer", is_flag=True, help="Compare every layer that both have.")
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of what is drawn."
)
@shared.provider
@click.option(
    "--report",
    "path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write all of it to a .json or .md file.",
)
@click.option("--force", is_flag=True, help="Replace that file if it exists.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    a: str,
    b: str,
    weights: str | None,
    weights_a: str | None,
    weights_b: str | None,
    runtimes: str | None,
    batches: tuple[int, ...],
    path: Path | None,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Tell whether model B gives what model A gives, and exit with 1 if not.

    Each is a model file (lowered as it is written, and run by onnxruntime on CPU with its optimiser
    off; its weights are drawn from the seed if none are given), a .keras or .h5 file (run by
    Keras), or an .onnx file of any tool (run by onnxruntime).

    An output agrees where its largest absolute error is at most ATOL + RTOL x max |A|, the maximum
    over all of that output. The relative error shown is the largest absolute error divided by
    max |A|, the cosine is the lowest of any sample, and NaN never agrees. Inputs and outputs belong
    together by name, else by order; data are channels last, or channels first where only that fits.
    A file that states its precision gets the tolerance of that, which is shown; but an int8 file is
    not expected to agree with a float one: its loss is measured where it is compiled, and by
    evaluate. Beside itself in other runtimes it has one, of a few steps of 8 bits.

    Outputs of one side that are layers of the other, as compile --taps makes them, are compared
    with these layers.

    Beside a file that takes a camera's images or gives the best classes alone, the other is fed the
    same pixels, in its own order of colours and size, and its scores are cut alike. Classes must be
    the same, but may change ranks where their scores differ by less than the tolerance.

    With --per-layer, every layer that both name is compared likewise, in order, and the first to
    leave the tolerance is named. What a pass has fused is on one side only, and is passed over. In
    a file of another tool a layer is looked for by a part of the value's name, with its sizes; such
    a layer decides nothing by itself.

    With --runtime, B is run in other runtimes, each in a process of its own, so that one that
    crashes or hangs is reported as such. Of one that gives other numbers the first layer that does
    is named. Runtimes: onnxruntime, onnxruntime-node, onnxruntime-web, openvino, opencv, tract,
    mnn, ncnn and tvm.

    \b
    Examples:
      graphcnn verify model.yaml model.onnx --weights model.safetensors
      graphcnn verify model.keras model.onnx --data photo.png
      graphcnn verify model.keras other_tool.onnx --per-layer --report verify.md
      graphcnn verify old.onnx new.onnx --random 64 --range 0 255 --json
      graphcnn verify model.keras model.onnx --runtime openvino,opencv,tract
      graphcnn verify int8.onnx int8.onnx --runtime openvino
    """
    from graphcnn.errors import CheckFailed
    from graphcnn.files import check_target
    from graphcnn.report.console import show
    from graphcnn.report.verification import (
        check_report,
        integers_hint,
        verdict,
        verification_json,
        verification_markdown,
        verification_table,
        write_report,
    )
    from graphcnn.verification import verify

    if options["data"] and (options["random"] or options["limits"]):
        raise click.UsageError("--data takes the place of --random and --range")
    given = _weights((a, b), weights, (weights_a, weights_b))
    if runtimes is not None:
        taken = {"--random": options["random"], "--per-layer": options["per_layer"]}
        _refuse("--runtime does not take", taken | {"--weights-b": weights_b})
    else:
        _refuse("without --runtime there is no", {"--batch": batches})
    if path:
        check_report(path)
        check_target(path, force)
    if runtimes is not None:
        _in_runtimes(a, b, given[0], runtimes, batches, path, as_json, options)
        return
    options["random"] = options["random"] or 8
    with samples_bar("verify") as progress:
        report = verify(a, b, weights_a=given[0], weights_b=given[1], progress=progress, **options)
    if path:
        write_report(path, verification_json(report), verification_markdown(report))
    if as_json:
        click.echo(json.dumps(verification_json(report), allow_nan=False))
    else:
        show(verification_table(report))
    if not report.equal:
        raise CheckFailed(
            verdict(report),
            hint=integers_hint(report.integers)
            or (None if options["per_layer"] else "--per-layer names the first layer that does"),
        )


def _refuse(text: str, options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        if value:
            raise click.UsageError(f"{text} {name}")


def _in_runtimes(
    a: str,
    b: str,
    weights: str | None,
    names: str,
    batches: tuple[int, ...],
    path: Path | None,
    as_json: bool,
    options: Mapping[str, Any],
) -> None:
    """Verify a file in runtimes, and exit with 1 if one of them does not give what it should."""
    from graphcnn.errors import CheckFailed
    from graphcnn.report.console import show
    from graphcnn.report.runtimes import (
        runtimes_json,
        runtimes_markdown,
        runtimes_table,
        runtimes_verdict,
    )
    from graphcnn.report.verification import integers_hint, write_report
    from graphcnn.runtimes import RUNTIMES, find_runtime
    from graphcnn.verification import verify_runtimes

    if Path(b).suffix.lower() != ".onnx":
        raise click.UsageError(f"--runtime is for an .onnx file, and {b} is none")
    wanted = [name.strip() for name in names.split(",")]
    everywhere = "all" in wanted
    adapters = [find_runtime(one)() for one in dict.fromkeys(RUNTIMES if everywhere else wanted)]
    absent = {one.name: one.missing() for one in adapters} if everywhere else {}
    with samples_bar("verify") as progress:
        report = verify_runtimes(
            a,
            b,
            [one for one in adapters if not absent.get(one.name)],
            weights=weights,
            batches=batches or (1, 3),
            progress=progress,
            **{name: options[name] for name in ("data", "limits", "rtol", "atol", "seed")},
        )
    missing = {name: command for name, command in absent.items() if command}
    found = {**runtimes_json(report), "missing": missing}
    if path:
        write_report(path, found, runtimes_markdown(report))
    if as_json:
        click.echo(json.dumps(found, allow_nan=False))
    else:
        show(runtimes_table(report))
        for name, command in missing.items():
            click.echo(f"{name} is not installed: {command}")
    if not report.equal:
        raise CheckFailed(runtimes_verdict(report), hint=integers_hint(report.integers))
    if not as_json:
        click.echo(f"\n{runtimes_verdict(report)}")


def _weights(
    models: tuple[str, str], common: str | None, own: tuple[str | None, str | None]
) -> list[str | None]:
    """The weights of each side: its own, or for a model file those of both."""
    files = [Path(model).suffix.lower() in (".yaml", ".yml") for model in models]
    if common and not any(files):
        raise click.UsageError("--weights is for a model file, and neither side is one")
    return [
        given or (common if is_file else None) for given, is_file in zip(own, files, strict=True)
    ]
