"""The roofline of a file: its layers under what this machine can do."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphcnn.bench.layers import Layer, LayerReport
from graphcnn.bench.machine import INTEGERS
from graphcnn.errors import PictureError

from .figure import QUIET, RIGHT, WRONG, fitted, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

_WIDTH, _HEIGHT = 9.0, 6.2
"""In inches."""

_LARGEST = 900.0
"""The area of the dot of a layer that took all the time, in square points."""

_SMALLEST = 16.0

_MOST_NAMES = 40
"""Of more layers than this only the slowest are named."""

_RINGS, _ANGLES = (6, 14, 22, 32, 44, 58, 76, 96, 120), 24
"""How far from its dot a name may be, in points, and in how many directions it is tried."""

_NAME: dict[str, Any] = {
    "textcoords": "offset points",
    "va": "center",
    "fontsize": 7.5,
    "arrowprops": {"arrowstyle": "-", "color": QUIET, "linewidth": 0.5},
    "zorder": 4,
}


@styled
def draw_roofline(report: LayerReport) -> Figure:
    """Draw the layers that multiply: operations a second over operations a byte, both logarithmic.

    A dot is as large as the layer's share of the time, and named where there is room, the slowest
    first.

    Args:
        report: The measured layers.

    Raises:
        PictureError: No layer multiplies.
    """
    from matplotlib.figure import Figure

    layers = [layer for layer in report.layers if layer.flops and layer.intensity]
    if not layers:
        raise PictureError(f"{report.path}: no layer multiplies, so that there is nothing to draw")
    layers.sort(key=lambda layer: -layer.seconds)
    figure = Figure(figsize=(_WIDTH, _HEIGHT), layout="constrained")
    axes = figure.add_subplot()
    title, size = fitted(f"{Path(report.path).name}, batch {report.batch}", _WIDTH)
    figure.suptitle(title, fontsize=size)
    axes.set_title(_note(report, layers), fontsize=8, color=QUIET)
    _draw_axes(axes, report, layers)
    figure.draw_without_rendering()
    roofs = _draw_roofs(axes, report, layers)
    for layer in reversed(layers):
        axes.scatter(
            *_place(layer),
            s=_area(layer, report),
            color=_colour(layer.dtype),
            alpha=0.6,
            edgecolors="white",
            linewidths=0.8,
            zorder=3,
        )
    figure.draw_without_rendering()
    _name(axes, report, layers, roofs)
    return figure


def _note(report: LayerReport, layers: Sequence[Layer]) -> str:
    drawn = sum(layer.seconds for layer in layers) / report.kernel_seconds
    text = f"dots as large as their share of the time; drawn {drawn:.0%} of it"
    return text if len(layers) == len(report.layers) else f"{text}, the rest does not multiply"


def _place(layer: Layer) -> tuple[float, float]:
    return layer.intensity or 0.0, layer.flops / 1e9


def _area(layer: Layer, report: LayerReport) -> float:
    return max(_SMALLEST, _LARGEST * layer.seconds / report.kernel_seconds)


def _colour(dtype: str) -> str:
    return WRONG if dtype in INTEGERS else RIGHT


def _draw_axes(axes: Axes, report: LayerReport, layers: Sequence[Layer]) -> None:
    """Logarithmic axes that hold all layers, and the corners of the roofs."""
    peaks = [report.roof.peak(layer.dtype) for layer in layers]
    corners = [peak / report.roof.bandwidth for peak in peaks]
    across = [*(layer.intensity or 0.0 for layer in layers), *corners]
    up = [*(layer.flops / 1e9 for layer in layers), *(peak / 1e9 for peak in peaks)]
    axes.set(xscale="log", yscale="log", xlim=(min(across) / 2, max(across) * 4))
    axes.set_ylim(min(up) / 2, max(up) * 2.2)
    axes.set(xlabel="operations a byte", ylabel="GFLOP/s")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.grid(color="#e4e6ea", linewidth=0.7)


def _draw_roofs(axes: Axes, report: LayerReport, layers: Sequence[Layer]) -> list[Any]:
    """Draw what bounds the layers, and return the texts beside it."""
    roof, (left, right) = report.roof, axes.get_xlim()
    look: dict[str, Any] = {"fontsize": 8, "va": "bottom"}
    kinds = {_colour(layer.dtype): layer.dtype for layer in layers}
    highest = max(roof.peak(dtype) for dtype in kinds.values())
    corner = highest / roof.bandwidth
    ends = [left * roof.bandwidth / 1e9, highest / 1e9]
    axes.plot([left, corner], ends, color=QUIET, linewidth=1.4, zorder=2)
    texts = []
    for colour, dtype in kinds.items():
        peak = roof.peak(dtype)
        level = [peak / 1e9] * 2
        axes.plot([peak / roof.bandwidth, right], level, color=colour, linewidth=1.4, zorder=2)
        label = f"{'int8' if dtype in INTEGERS else 'float32'}: {peak / 1e9:,.0f} GFLOP/s "
        texts.append(axes.text(right, level[0], label, color=colour, ha="right", **look))
    (x0, y0), (x1, y1) = axes.transData.transform(list(zip([left, corner], ends, strict=True)))
    at = left * (corner / left) ** 0.5
    label = f"memory: {roof.bandwidth / 1e9:,.1f} GB/s"
    look |= {
        "rotation": math.degrees(math.atan2(y1 - y0, x1 - x0)),
        "rotation_mode": "anchor",
    }
    height = at * roof.bandwidth / 1e9 * 1.06
    texts.append(axes.text(at, height, label, color=QUIET, ha="center", **look))
    return texts


def _name(axes: Axes, report: LayerReport, layers: Sequence[Layer], roofs: Sequence[Any]) -> None:
    """Name the dots, where no name covers another, a dot or a roof."""
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

    scale = axes.figure.dpi / 72
    frame = axes.get_window_extent()
    dots = [_box(axes, layer, math.sqrt(_area(layer, report)) / 2 * scale) for layer in layers]
    taken = [text.get_window_extent() for text in roofs]
    lines = [
        box for line in axes.lines for box in _along(*axes.transData.transform(line.get_xydata()))
    ]
    for layer, dot in zip(layers[:_MOST_NAMES], dots, strict=False):
        text = axes.annotate(layer.name, _place(layer), (0, 0), **_NAME)
        width, height = Text.get_window_extent(text).size
        x, y = axes.transData.transform(_place(layer))
        offsets = list(_offsets(math.sqrt(_area(layer, report)) / 2))
        # Only where there is no other place may the line to a name cross another dot.
        for avoided, (across, up) in product((dots, []), offsets):
            side = 0.5 if abs(across) < 1 else float(across < 0)
            left, low = x + across * scale - side * width, y + up * scale - height / 2
            box = Bbox.from_bounds(left, low, width, height).padded(2)
            middle = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
            leader = _along((x, y), middle)
            leader = [part for part in leader if _free([part], [box, dot])]
            if (
                _inside(box, frame)
                and _free([box], [*taken, *dots, *lines])
                and _free(leader, [*taken, *avoided])
            ):
                taken += [box, *leader]
                text.set(position=(across, up), ha=("left", "center", "right")[round(2 * side)])
                break
        else:
            text.remove()


def _offsets(radius: float) -> Iterator[tuple[float, float]]:
    """Where a name may be beside its dot, the nearest first."""
    for ring in _RINGS:
        for turn in range(_ANGLES):
            angle = 2 * math.pi * turn / _ANGLES
            yield (radius + ring) * math.cos(angle), (radius + ring) * math.sin(angle)


def _inside(box: Bbox, frame: Bbox) -> bool:
    across = frame.x0 <= box.x0 and box.x1 <= frame.x1
    return bool(across and frame.y0 <= box.y0 and box.y1 <= frame.y1)


def _box(axes: Axes, layer: Layer, radius: float) -> Bbox:
    from matplotlib.transforms import Bbox

    x, y = axes.transData.transform(_place(layer))
    return Bbox([[x - radius, y - radius], [x + radius, y + radius]])


def _along(start: Sequence[float], end: Sequence[float]) -> list[Bbox]:
    """Small boxes along a line in pixels."""
    import numpy as np
    from matplotlib.transforms import Bbox

    steps = max(2, int(math.dist(start, end) / 3))
    return [Bbox([point - 1, point + 1]) for point in np.linspace(start, end, steps)]


def _free(boxes: Sequence[Bbox], taken: Sequence[Bbox]) -> bool:
    return not any(box.overlaps(other) for box in boxes for other in taken)
