"""What was put into integers and what that costs: for people, and as JSON."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from graphcnn.quantization import Quality, QualityReport, QuantizationReport

from .format import printable

if TYPE_CHECKING:
    from graphcnn.quantization import Damage
    from graphcnn.quantization.placement import Layer


def quality_line(report: QualityReport) -> str:
    """What was lost, and on what it was measured."""
    return f"{report.loss}, on {report.split} ({report.held_out:,} samples)"


def quantization_table(report: QuantizationReport) -> Group:
    """The integers, what they cost, and each layer's own damage where it was measured."""
    arithmetic = report.arithmetic
    floats = (*report.asked, *report.best.floats)
    parts: list[RenderableType] = [
        Text(
            f"int8: {arithmetic.activations} activations, {arithmetic.weights} weights a channel "
            f"({arithmetic.reason})"
        ),
        Text(f"ranges: {report.method} of {report.calibrated:,} samples"),
        Text(f"{quality_line(report.quality)}"),
        Text(
            f"{len(floats)} of {report.layers} layers in float{': ' * bool(floats)}{_names(floats)}"
        ),
    ]
    if report.damages:
        parts += ["", _damage_table(report, {layer.node for layer in floats})]
    return Group(*parts)


def quality_json(report: QualityReport) -> dict[str, Any]:
    """A file's quality as JSON values.

    Without labels accuracies are null, and without noise the signal-to-noise ratio.
    """
    return {
        "float32": _quality(report.original),
        "file": _quality(report.quality),
        "budget": report.limit and {report.limit.kind: report.limit.value},
        "held_out": {"samples": report.held_out, "split": report.split},
    }


def quantization_json(report: QuantizationReport) -> dict[str, Any]:
    """What was put into integers as JSON values."""
    return {
        "activations": report.arithmetic.activations,
        "weights": report.arithmetic.weights,
        "reason": report.arithmetic.reason,
        "calibration": {"method": report.method, "samples": report.calibrated},
        "layers": report.layers,
        "float_layers": [_layer(layer) for layer in (*report.asked, *report.best.floats)],
        "attempts": [
            {"float_layers": len(attempt.floats), **_quality(attempt.quality)}
            for attempt in report.attempts
        ],
        "damages": [
            {**_layer(d.layer), "accuracy_lost": d.accuracy, "snr_db": _decibels(d.snr)}
            for d in report.damages
        ],
        "damage_samples": report.damage_samples,
    }


def _damage_table(report: QuantizationReport, floats: set[str]) -> Table:
    title = f"each layer alone in integers, on {report.damage_samples:,} samples"
    table = Table(
        box=SIMPLE_HEAD, title=title, title_justify="left", title_style="", pad_edge=False
    )
    labelled = any(damage.accuracy is not None for damage in report.damages)
    table.add_column("layer")
    table.add_column("operator")
    table.add_column("written at")
    if labelled:
        table.add_column("accuracy", justify="right")
    table.add_column("SNR", justify="right")
    table.add_column("written in")
    for damage in report.damages:
        table.add_row(*_damage_row(damage, labelled, damage.layer.node in floats))
    return table


def _damage_row(damage: Damage, labelled: bool, in_float: bool) -> list[str]:
    layer = damage.layer
    title = f" ({layer.origin.title})" if layer.origin else ""
    row = [printable(f"{layer.name}{title}"), layer.op, printable(layer.place)]
    if labelled:
        row.append("" if damage.accuracy is None else f"{0.0 - damage.accuracy * 100:+.2f} points")
    noise = "no noise" if math.isinf(damage.snr) else f"{damage.snr:.1f} dB"
    return [*row, noise, "float" if in_float else "int8"]


def _names(layers: tuple[Layer, ...]) -> str:
    return ", ".join(dict.fromkeys(printable(layer.name) for layer in layers))


def _layer(layer: Layer) -> dict[str, Any]:
    return {"layer": layer.name, "node": layer.node, "op": layer.op, "place": layer.place or None}


def _quality(quality: Quality) -> dict[str, Any]:
    return {"accuracy": quality.accuracy, "snr_db": _decibels(quality.snr)}


def _decibels(snr: float) -> float | None:
    return round(snr, 3) if math.isfinite(snr) else None
