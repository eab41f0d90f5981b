"""Measured files and layers as tables for people, and as JSON for programs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from graphcnn.bench.files import FileTiming
from graphcnn.bench.layers import NEAR, Layer, LayerReport
from graphcnn.bench.timing import CONFIDENCE, Ratio
from graphcnn.runtime.settings import Settings

from . import format as fmt
from .console import plain_table


def files_json(found: Sequence[FileTiming]) -> list[dict[str, Any]]:
    """Measured files as JSON values: seconds, bytes and samples a second.

    Returns:
        For each file and batch ``file``, ``settings``, ``batch``, ``runs``, ``rounds``,
        ``p50_seconds``, ``p90_seconds``, ``p99_seconds``, ``samples_per_second``,
        ``load_seconds``, ``peak_bytes``, ``baseline_bytes`` (what the process held before it loaded
        the file) and ``ratio`` (null for the first file): how many times faster it is than the
        first, as ``value``, ``low`` and ``high`` (null where there are too few rounds to tell).
    """
    return [
        {
            "file": one.path,
            "settings": asdict(one.settings),
            "batch": one.timing.batch,
            "runs": len(one.timing.latencies),
            "rounds": len(one.timing.rounds),
            "p50_seconds": one.timing.p50,
            "p90_seconds": one.timing.p90,
            "p99_seconds": one.timing.p99,
            "samples_per_second": one.timing.throughput,
            "load_seconds": one.load_seconds,
            "peak_bytes": one.peak_bytes,
            "baseline_bytes": one.baseline_bytes,
            "ratio": one.ratio and _ratio_json(one.ratio),
        }
        for one in found
    ]


def files_table(found: Sequence[FileTiming]) -> Group:
    """Measured files as a rich renderable."""
    compared = any(one.ratio for one in found)
    columns = ["batch", "p50", "p90", "p99", "samples/s", "load", "peak memory", "before loading"]
    columns += [f"times as fast ({CONFIDENCE:.0%})", ""] if compared else []
    table = plain_table(["file", *columns], left=("file", ""))
    for one in found:
        timing = one.timing
        cells = [
            fmt.printable(one.path),
            str(timing.batch),
            *(fmt.seconds(value) for value in (timing.p50, timing.p90, timing.p99)),
            f"{timing.throughput:,.0f}" if timing.throughput >= 100 else f"{timing.throughput:.3g}",
            fmt.seconds(one.load_seconds),
            fmt.size_in_bytes(one.peak_bytes),
            fmt.size_in_bytes(one.baseline_bytes),
        ]
        table.add_row(*map(Text, [*cells, *_ratio_cells(one.ratio, compared)]))
    texts = {f"{one.path}: {_settings(one.settings)}" for one in found}
    return Group(table, *(Text(fmt.printable(text), style="dim") for text in sorted(texts)))


def layers_json(report: LayerReport) -> dict[str, Any]:
    """Measured layers as JSON values: seconds, bytes, operations a second, and shares of 1."""
    return {
        "file": report.path,
        "settings": asdict(report.settings),
        "batch": report.batch,
        "seconds": report.seconds,
        "profiled_seconds": report.profile.seconds,
        "profiled_runs": report.profile.runs,
        "kernel_seconds": report.kernel_seconds,
        "macs": report.macs,
        "flops_per_second": report.flops,
        "peak_share": report.peak_share,
        "roof": asdict(report.roof),
        "layers": [_layer_json(layer, report) for layer in report.layers],
    }


def layers_table(report: LayerReport) -> Group:
    """Measured layers as a rich renderable, under what the machine can do."""
    columns = ["time", "share", "GFLOP/s", "bytes", "FLOP/byte", "of the roof"]
    left = ("layer", "kernels", "bound")
    table = plain_table(["layer", "kernels", *columns, "bound"], left)
    for layer in report.layers:
        source = Text(f"  {fmt.printable(layer.source)}", style="dim") if layer.source else ""
        table.add_row(
            Text(fmt.printable(layer.name)).append(source),
            *map(Text, _layer_cells(layer, report)),
        )
    head = Text(fmt.printable(f"{report.path}, batch {report.batch}"), style="bold")
    parts: list[RenderableType] = [head, Text(_roof_text(report)), "", table, ""]
    parts += [Text(line) for line in _sums(report)]
    return Group(*parts, Text(_settings(report.settings), style="dim"))


def _layer_json(layer: Layer, report: LayerReport) -> dict[str, Any]:
    return {
        "name": layer.name,
        "source": layer.source,
        "layers": list(layer.layers),
        "kernels": list(layer.ops),
        "dtype": layer.dtype,
        "seconds": layer.seconds,
        "share": _share(layer, report),
        "macs": layer.macs,
        "flops_per_second": layer.flops,
        "bytes": layer.bytes,
        "flops_per_byte": layer.intensity,
        "roof_share": layer.roof_share,
        "bound": layer.bound,
    }


def _layer_cells(layer: Layer, report: LayerReport) -> list[str]:
    counted = bool(layer.macs)
    return [
        ", ".join(layer.ops),
        fmt.seconds(layer.seconds),
        f"{_share(layer, report):.1%}",
        f"{layer.flops / 1e9:.1f}" if counted else "-",
        fmt.size_in_bytes(layer.bytes),
        f"{layer.intensity:.1f}" if counted and layer.intensity else "-",
        f"{layer.roof_share:.0%}",
        layer.bound,
    ]


def _share(layer: Layer, report: LayerReport) -> float:
    return layer.seconds / report.kernel_seconds if report.kernel_seconds else 0.0


def _roof_text(report: LayerReport) -> str:
    roof = report.roof
    return (
        f"this machine, by onnxruntime: {roof.float32 / 1e9:,.0f} GFLOP/s in float32 and "
        f"{roof.int8 / 1e9:,.0f} in int8 (matrix products), "
        f"{roof.bandwidth / 1e9:,.1f} GB/s to and from memory"
    )


def _sums(report: LayerReport) -> list[str]:
    """What the layers add up to, and how to read their rows."""
    run, profiled, kernels = report.seconds, report.profile.seconds, report.kernel_seconds
    lines = [
        f"a run takes {fmt.seconds(run)}, and {fmt.seconds(profiled)} under the profiler "
        f"({profiled / run - 1:+.0%}); the layers add up to {fmt.seconds(kernels)} of that, and "
        f"{fmt.seconds(max(profiled - kernels, 0.0))} are between them"
    ]
    if kernels > run:
        each = (kernels - run) / len(report.profile.kernels)
        lines.append(f"so with it each kernel seems {fmt.seconds(each)} longer than it is, or more")
    if report.flops is not None:
        lines.append(
            f"the network reaches {report.flops / 1e9:,.1f} GFLOP/s, "
            f"{report.peak_share:.0%} of the peak of the types that it computes in"
        )
    if any(layer.bound == "neither" for layer in report.layers):
        lines.append(f"neither: under {NEAR:.0%} of the roof; its time goes elsewhere")
    if any(layer.roof_share > 1 for layer in report.layers):
        lines.append("over 100%: it reads from a cache what memory would give later")
    return lines


def _ratio_json(ratio: Ratio) -> dict[str, float | None]:
    return {
        "value": ratio.value,
        "low": ratio.low,
        "high": ratio.high if math.isfinite(ratio.high) else None,
    }


def _ratio_cells(ratio: Ratio | None, compared: bool) -> list[str]:
    if not ratio:
        return ["1", "the first file"] if compared else []
    interval = f"{ratio.value:.2f}  ({ratio.low:.2f} to {ratio.high:.2f})"
    if not math.isfinite(ratio.high):
        interval = f"{ratio.value:.2f}  (too few rounds)"
    if not ratio.differs:
        return [interval, "no difference shown"]
    return [interval, "faster" if ratio.value > 1 else "slower"]


def _settings(settings: Settings) -> str:
    found = {"threads": "as onnxruntime chooses", "micro_batch": "all at once"}
    values = asdict(settings) | {"spinning": "on" if settings.spinning else "off"}
    shown = {name: found[name] if value is None else value for name, value in values.items()}
    return ", ".join(f"{name.replace('_', '-')} {value}" for name, value in shown.items())
