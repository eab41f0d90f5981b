"""A picture of what tuning tried: quality against latency, and the Pareto front.

A candidate is on the front when no other is both faster and better. Latencies are those of plain
float32, divided by how many times faster each was in the same rounds: so what the machine did
meanwhile moves no dot beside another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .figure import PLAIN, QUIET, WRONG, fitted, styled
from .format import size_in_bytes
from .tuning import Trial, TuneReport, Variant

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLORS = (
    *("#0072b2", "#e69f00", "#009e73", "#cc79a7"),
    *("#56b4e9", "#d55e00", "#f0e442", "#999999"),
)
"""After Okabe and Ito: told apart by those who do not see red or green, too."""

_AREAS = (30.0, 420.0)
"""Of the smallest and the largest dot, in square points."""

_FAR = 4.0
"""Latencies that are as many times apart need a logarithmic axis."""


@dataclass(frozen=True, slots=True)
class _Dot:
    trial: Trial
    x: float
    y: float

    @property
    def variant(self) -> Variant:
        return self.trial.candidate.variant

    @property
    def bytes(self) -> int:
        return self.variant.bytes or 0


@styled
def draw_pareto(report: TuneReport) -> Figure:
    """Quality against latency; the area of a dot is the size of its file.

    Drawn are the candidates that were timed, a colour for each file: its fastest settings in full,
    the others faint. The front, the chosen one and what the budget allows are marked.

    Args:
        report: What tuning found; its base was timed.
    """
    from matplotlib.figure import Figure

    width = 7.2
    labelled = report.base.candidate.variant.accuracy is not None
    dots = _dots(report, labelled)
    best, most = _fastest_of_each_file(dots), max(dot.bytes for dot in dots)
    rows = math.ceil((len(best) + 3) / 2)
    figure = Figure(figsize=(width, 4.2 + 0.2 * rows), layout="constrained")
    axes = figure.subplots()
    title, size = fitted(f"{report.model}: {report.objective}, batch {report.batch}", width)
    figure.suptitle(title, fontsize=size)
    note = "the area of a dot is the size of its file; other settings of a file are faint"
    axes.set_title(note, fontsize=7.5, color=QUIET)
    for dot in dots:
        color = _COLORS[list(best).index(dot.variant) % len(_COLORS)]
        shown = best[dot.variant] is dot
        look: dict[str, Any] = {"alpha": 0.75, "ec": "black"} if shown else {"alpha": 0.18}
        label = _dot_label(dot, report) if shown else None
        look |= {"zorder": 3 - dot.bytes / most, "s": max(_AREAS[0], _AREAS[1] * dot.bytes / most)}
        axes.scatter(dot.x, dot.y, color=color, lw=0.6, label=label, **look)
    floor = report.floor and report.floor * (100 if labelled else 1)
    _limit(axes, dots, floor)
    _draw_front(axes, _front(dots))
    _draw_chosen(axes, dots, report)
    if floor is not None:
        axes.axhline(floor, color=WRONG, lw=0.8, ls=":", label=f"budget: {report.budget}")
    axes.set_xlabel(f"median latency of a run of {report.batch}, ms")
    axes.set_ylabel("accuracy, %" if labelled else "signal to noise of the output, dB")
    axes.grid(color=PLAIN, lw=0.5, alpha=0.5)
    legend = figure.legend(loc="outside lower center", ncols=2, fontsize=7.5)
    for handle in legend.legend_handles:
        if handle is not None and hasattr(handle, "set_sizes"):
            handle.set_sizes([40])
    return figure


def _dots(report: TuneReport, labelled: bool) -> list[_Dot]:
    timed = [(trial, trial.ratio) for trial in report.trials if trial.ratio]
    noises = [trial.candidate.variant.snr for trial, _ in timed]
    top = max((snr for snr in noises if snr is not None and math.isfinite(snr)), default=0.0) + 10
    dots = []
    for trial, ratio in timed:
        variant = trial.candidate.variant
        quality = variant.accuracy if labelled else variant.snr
        if quality is not None:
            y = quality * 100 if labelled else min(quality, top)
            dots.append(_Dot(trial, report.base_ms / ratio.value, y))
    return dots


def _fastest_of_each_file(dots: Sequence[_Dot]) -> dict[Variant, _Dot]:
    found: dict[Variant, _Dot] = {}
    for dot in sorted(dots, key=lambda dot: dot.x):
        found.setdefault(dot.variant, dot)
    return found


def _front(dots: Sequence[_Dot]) -> list[_Dot]:
    """The dots that none beats in both, the fastest first."""
    found: list[_Dot] = []
    for dot in sorted(dots, key=lambda dot: (dot.x, -dot.y)):
        if not found or dot.y > found[-1].y:
            found.append(dot)
    return found


def _dot_label(dot: _Dot, report: TuneReport) -> str:
    times = "" if dot.trial is report.base else f", {report.base_ms / dot.x:.2f}x"
    text = f"{dot.variant.label} ({size_in_bytes(dot.bytes)}{times})"
    return fitted(text, 3.2)[0]


def _draw_chosen(axes: Axes, dots: Sequence[_Dot], report: TuneReport) -> None:
    for dot in dots:
        if dot.trial is report.chosen:
            look: dict[str, Any] = {"marker": "*", "color": WRONG, "ec": "white", "lw": 0.6}
            axes.scatter(dot.x, dot.y, s=130, zorder=5, label="chosen", **look)


def _draw_front(axes: Axes, front: Sequence[_Dot]) -> None:
    """Up from the axis to the fastest, and on from the best to the right."""
    xs = [front[0].x, *(dot.x for dot in front), axes.get_xlim()[1]]
    ys = [axes.get_ylim()[0], *(dot.y for dot in front), front[-1].y]
    axes.step(xs, ys, where="post", label="Pareto front", color=QUIET, lw=1, ls="--", zorder=1)


def _limit(axes: Axes, dots: Sequence[_Dot], floor: float | None) -> None:
    """Fix both axes; that of latency is logarithmic where dots lie far apart."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    xs, ys = [dot.x for dot in dots], [dot.y for dot in dots]
    low, high = min(xs), max(xs)
    ys += [] if floor is None else [floor]
    room = 0.15 * (max(ys) - min(ys)) or 1.0
    axes.set_ylim(min(ys) - room, max(ys) + room)
    if high < _FAR * low:
        axes.set_xlim(low - 0.12 * high, 1.12 * high)
        return
    axes.set_xscale("log")
    axes.set_xlim(low / 1.3, high * 1.3)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
