"""What tuning tried and chose: as a table for people, and as JSON for programs."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Group
from rich.text import Text

from graphcnn.bench.timing import Ratio, Timing
from graphcnn.quantization import Method
from graphcnn.quantization.precision import Precision
from graphcnn.runtime.settings import Settings

from .console import plain_table
from .format import printable, size_in_bytes

Objective = Literal["latency", "throughput", "size"]
Layout = Literal["nchw", "nhwc"]


NO_TIME = "no time was left"
"""Why a candidate was not timed, where nothing was wrong with it."""


@dataclass(frozen=True, slots=True)
class FloatLayer:
    """A layer that stays in float in a file of integers.

    Attributes:
        name: What its author calls it.
        node: The node of the file that computes it.
        place: Where it was written, such as ``model.yaml:12:5``; empty where that is not known.
        reason: ``harm``: the budget does not hold with it in integers; ``speed``: it is slower so.
    """

    name: str
    node: str
    place: str
    reason: Literal["harm", "speed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to compile the model.

    Attributes:
        path: The file.
        precision: As `graphcnn.compile` spells it.
        layout: Whether inputs and outputs are channels first or last: ``nchw``, ``nhwc``.
        method: How ranges of integers were chosen; None where there are none.
        floats: The layers in float, where others are in integers.
        bytes: Its size; None where it was not written.
        accuracy: The share of held-out samples that it tells right; None without labels.
        snr: Its output's signal-to-noise ratio in dB; infinite beside an equal one, None where it
            was not measured.
    """

    path: Path
    precision: Precision
    layout: Layout = "nchw"
    method: Method | None = None
    floats: tuple[FloatLayer, ...] = ()
    bytes: int | None = None
    accuracy: float | None = None
    snr: float | None = None

    @property
    def label(self) -> str:
        """What it is called."""
        parts = [f"{self.precision} {self.method}" if self.method else self.precision]
        for reason in ("harm", "speed"):
            count = sum(layer.reason == reason for layer in self.floats)
            parts += [f"{count} float for {reason}"] if count else []
        return ", ".join([*parts, *(["nhwc"] if self.layout == "nhwc" else [])])


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file and how it is run.

    Attributes:
        variant: The file.
        settings: How onnxruntime runs it.
    """

    variant: Variant
    settings: Settings

    @property
    def changes(self) -> str:
        """The settings that are not the default ones, for people."""
        default = asdict(Settings())
        names = {"micro_batch": "micro-batch"}
        changed = [
            f"{names.get(key, key)} {'off' if value is False else value}"
            for key, value in asdict(self.settings).items()
            if value != default[key]
        ]
        return ", ".join(changed) or "default"


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of a candidate.

    Attributes:
        candidate: The candidate.
        timing: The last times that were measured of it; None where there are none.
        ratio: How many times faster it was than the plain float32 file in the same rounds.
        dropped: Why it was not looked at any further; empty for what came to the end.
    """

    candidate: Candidate
    timing: Timing | None = None
    ratio: Ratio | None = None
    dropped: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneReport:
    """What was tried, and what was chosen.

    Attributes:
        model: The model's name.
        objective: What was looked for.
        budget: What had to be kept, for people.
        floor: The least accuracy or signal-to-noise ratio that this allows; None where the float32
            file was not measured.
        held_out: What quality was measured on, for people.
        batch: The samples of a run.
        base: The plain float32 file with default settings.
        trials: All candidates and the base, the chosen one first, then the fastest first.
        chosen: What was chosen.
        reason: Why, in a sentence.
        seconds: How long it took.
    """

    model: str
    objective: Objective
    budget: str
    floor: float | None
    held_out: str
    batch: int
    base: Trial
    trials: tuple[Trial, ...]
    chosen: Trial
    reason: str
    seconds: float

    @property
    def base_ms(self) -> float:
        """The median latency of the plain float32 file in milliseconds; NaN if it was not timed."""
        return self.base.timing.p50 * 1000 if self.base.timing else math.nan


def tuning_json(report: TuneReport) -> dict[str, Any]:
    """The report as strict JSON.

    Returns:
        ``model``, ``objective``, ``budget``, ``held_out``, ``batch``, ``seconds``, ``reason`` and
        ``candidates``, the chosen one first. Each has ``label``, ``chosen``, ``base``,
        ``precision``, ``input_layout``, ``calibration``, ``float_layers`` (``name``, ``source``,
        ``reason``), ``settings``, ``accuracy``, ``snr_db`` (null where infinite or unknown),
        ``bytes``, ``p50_ms``, ``p90_ms``, ``p99_ms``, ``samples_per_second``, ``ratio`` (``value``,
        ``low``, ``high``: times as fast as the base; ``high`` is null where it is open) and
        ``dropped``.
    """
    return {
        "model": report.model,
        "objective": report.objective,
        "budget": report.budget,
        "held_out": report.held_out,
        "batch": report.batch,
        "seconds": round(report.seconds, 1),
        "reason": report.reason,
        "candidates": [_trial_json(trial, report) for trial in report.trials],
    }


def _trial_json(trial: Trial, report: TuneReport) -> dict[str, Any]:
    variant, timing, ratio = trial.candidate.variant, trial.timing, trial.ratio
    times = {
        f"{name}_ms": None if timing is None else round(getattr(timing, name) * 1000, 4)
        for name in ("p50", "p90", "p99")
    }
    return {
        "label": variant.label,
        "chosen": trial is report.chosen,
        "base": trial is report.base,
        "precision": variant.precision,
        "input_layout": variant.layout,
        "calibration": variant.method,
        "float_layers": [
            {"name": layer.name, "source": layer.place or None, "reason": layer.reason}
            for layer in variant.floats
        ],
        "settings": asdict(trial.candidate.settings),
        "accuracy": variant.accuracy,
        "snr_db": _finite(variant.snr),
        "bytes": variant.bytes,
        **times,
        "samples_per_second": None if timing is None else round(timing.throughput, 2),
        "ratio": None if ratio is None else _ratio_json(ratio),
        "dropped": trial.dropped or None,
    }


def _ratio_json(ratio: Ratio) -> dict[str, float | None]:
    return {"value": ratio.value, "low": ratio.low, "high": _finite(ratio.high)}


def _finite(value: float | None) -> float | None:
    return None if value is None or math.isinf(value) else value


def tuning_table(report: TuneReport) -> Group:
    """The report as a rich renderable: a row for each candidate, and why one was chosen.

    Settings that there was no time for are counted.
    """
    table = plain_table()
    labelled = report.base.candidate.variant.accuracy is not None
    for name in ("file", "settings"):
        table.add_column(name, "", min_width=12, overflow="fold")
    speed = "samples/s" if report.objective == "throughput" else "p50"
    for name in ("accuracy" if labelled else "SNR", "size", speed):
        table.add_column(name, "", justify="right", no_wrap=True)
    table.add_column("times float32", "", justify="right", no_wrap=True)
    table.add_column("", "", min_width=16)
    untimed = [trial for trial in report.trials if trial.dropped == NO_TIME]
    for trial in [trial for trial in report.trials if trial not in untimed]:
        style = "bold green" if trial is report.chosen else "dim" if trial.dropped else ""
        table.add_row(*map(Text, _cells(trial, report, labelled)), style=style)
    head = Text(
        f"{printable(report.model)}: {report.objective}, batch {report.batch}, {report.budget}, "
        f"{report.held_out}, {report.seconds:.0f} s"
    )
    left = f"{len(untimed)} more were not timed: {NO_TIME}\n" if untimed else ""
    return Group(head, "", table, left, Text(printable(report.reason)))


def _cells(trial: Trial, report: TuneReport, labelled: bool) -> list[str]:
    variant, timing = trial.candidate.variant, trial.timing
    state = "chosen" if trial is report.chosen else "base" if trial is report.base else ""
    return [
        variant.label,
        trial.candidate.changes,
        _quality(variant, labelled),
        size_in_bytes(variant.bytes),
        "-" if timing is None else _speed(timing, report.objective),
        ratio_text(trial.ratio),
        printable(state or trial.dropped or "in the last comparison"),
    ]


def _speed(timing: Timing, objective: Objective) -> str:
    if objective == "throughput":
        return f"{timing.throughput:,.0f}"
    return f"{timing.p50 * 1000:.3f} ms"


def _quality(variant: Variant, labelled: bool) -> str:
    if labelled:
        return "-" if variant.accuracy is None else f"{variant.accuracy:.2%}"
    if variant.snr is None:
        return "-"
    return "exact" if math.isinf(variant.snr) else f"{variant.snr:.1f} dB"


def ratio_text(ratio: Ratio | None) -> str:
    """A ratio and its interval, such as ``2.31 (2.25 to 2.38)``."""
    if ratio is None:
        return "-"
    if math.isinf(ratio.high):
        return f"{ratio.value:.2f}"
    return f"{ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"
