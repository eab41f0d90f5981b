"""The roofline plot: what it draws, and that names cover nothing."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text

from graphcnn.bench.layers import Layer, LayerReport, bounded
from graphcnn.bench.machine import Roof
from graphcnn.bench.profile import Profile
from graphcnn.errors import PictureError
from graphcnn.report.figure import RIGHT, WRONG, save_figure
from graphcnn.report.roofline import draw_roofline
from graphcnn.runtime.settings import Settings

ROOF = Roof(float32=100e9, int8=400e9, bandwidth=20e9)


def layer(name: str, macs: int, moved: int, seconds: float, dtype: str = "float32") -> Layer:
    return bounded(Layer(name, "m.yaml:3:1", (), ("Conv",), dtype, seconds, macs, moved), ROOF)


def report(*layers: Layer, seconds: float = 0.01) -> LayerReport:
    profile = Profile(1, 9, 2 * seconds, ())
    macs = sum(one.macs for one in layers)
    return LayerReport("x/model.onnx", Settings(), 1, seconds, profile, ROOF, layers, macs)


@pytest.fixture
def mixed() -> LayerReport:
    crowded = [layer(f"block{i}/conv", 10**8, 10**7, 0.003 + i * 1e-4) for i in range(6)]
    integer = layer("integer", 10**8, 10**6, 0.001, "uint8")
    dense = layer("dense", 10**6, 4 * 10**6, 0.0005)
    return report(*crowded, integer, dense, layer("pool", 0, 10**5, 0.0002))


def dots(figure: Figure) -> list[PathCollection]:
    return [item for item in figure.axes[0].collections if isinstance(item, PathCollection)]


def names(figure: Figure) -> list[Annotation]:
    return [text for text in figure.axes[0].texts if isinstance(text, Annotation)]


def test_draws_what_multiplies(mixed: LayerReport) -> None:
    figure = draw_roofline(mixed)
    drawn = dots(figure)
    assert len(drawn) == 8
    colours = [to_hex(dot.get_facecolor()[0]) for dot in drawn]
    assert (colours.count(RIGHT), colours.count(WRONG)) == (7, 1)
    slowest = max(drawn, key=lambda dot: float(dot.get_sizes()[0]))
    assert tuple(slowest.get_offsets()[0]) == pytest.approx((20, 0.2 / 0.0035))
    assert "the rest does not multiply" in figure.axes[0].get_title()
    texts = [text.get_text().strip() for text in figure.axes[0].texts]
    assert {"float32: 100 GFLOP/s", "int8: 400 GFLOP/s", "memory: 20.0 GB/s"} <= set(texts)
    assert figure.get_suptitle() == "model.onnx, batch 1"


def test_names_cover_nothing(mixed: LayerReport, tmp_path: Path) -> None:
    figure = draw_roofline(mixed)
    save_figure(figure, tmp_path / "roof.png")
    figure.draw_without_rendering()
    found = names(figure)
    assert {text.get_text() for text in found} == {row.name for row in mixed.layers} - {"pool"}
    boxes = [Text.get_window_extent(text) for text in figure.axes[0].texts]
    assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]
    frame = figure.axes[0].get_window_extent()
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 + 1 for box in boxes)


def test_only_the_memory_roof_of_what_is_drawn() -> None:
    figure = draw_roofline(report(layer("a", 10**8, 10**7, 0.004)))
    memory, peak = figure.axes[0].lines
    assert memory.get_xydata()[-1].tolist() == pytest.approx([5, 100])
    assert peak.get_xydata()[0].tolist() == pytest.approx([5, 100])
    assert not [t for t in figure.axes[0].texts if "int8" in t.get_text()]


def test_nothing_to_draw() -> None:
    with pytest.raises(PictureError, match="no layer multiplies"):
        draw_roofline(report(layer("pool", 0, 10**5, 0.1)))
