"""What tuning tried, as a table, as JSON and as a picture."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from rich.console import Console

from graphcnn.bench.timing import Ratio, Timing
from graphcnn.report.figure import save_figure
from graphcnn.report.pareto import draw_pareto
from graphcnn.report.tuning import (
    Candidate,
    FloatLayer,
    Trial,
    TuneReport,
    Variant,
    tuning_json,
    tuning_table,
)
from graphcnn.runtime.settings import Settings

PLAIN = Variant(path=Path("a.onnx"), precision="fp32", bytes=4000, accuracy=0.9, snr=math.inf)
LAYER = FloatLayer("conv1", "conv1/conv", "m.yaml:3:5", "harm")
MIXED = Variant(
    path=Path("b.onnx"),
    precision="int8",
    method="minmax",
    floats=(LAYER,),
    bytes=1000,
    accuracy=0.899,
    snr=31.0,
)
WORSE = replace(MIXED, path=Path("c.onnx"), floats=(), accuracy=0.91, snr=20.0)
UNMADE = Variant(path=Path("a.onnx"), precision="int8", method="entropy")


def trial(variant: Variant, milliseconds: float, **settings: object) -> Trial:
    timing = Timing(1, ((milliseconds / 1000,),) * 8)
    ratio = Ratio(4 / milliseconds, 3 / milliseconds, 5 / milliseconds)
    return Trial(Candidate(variant, Settings(**settings)), timing, ratio)  # type: ignore[arg-type]


BASE = replace(trial(PLAIN, 4), ratio=Ratio(1, 1, 1))
CHOSEN = trial(MIXED, 2, threads=2, spinning=False)
OTHERS = (trial(MIXED, 2.5), trial(WORSE, 3, micro_batch=8))
REFUSED = Trial(Candidate(UNMADE, Settings()), dropped="outside [red]the budget")

REPORT = TuneReport(
    model="a model",
    objective="latency",
    budget="at most 0.2 points of accuracy lost",
    floor=0.898,
    held_out="100 samples",
    batch=1,
    base=BASE,
    trials=(CHOSEN, *OTHERS, BASE, REFUSED),
    chosen=CHOSEN,
    reason="chosen: int8",
    seconds=12.34,
)


def unlabelled() -> TuneReport:
    trials = [
        replace(
            t, candidate=replace(t.candidate, variant=replace(t.candidate.variant, accuracy=None))
        )
        for t in REPORT.trials
    ]
    return replace(REPORT, trials=tuple(trials), chosen=trials[0], base=trials[3], floor=30.0)


def lines(report: TuneReport) -> list[str]:
    console = Console(width=250, record=True, file=io.StringIO())
    console.print(tuning_table(report))
    return console.export_text().splitlines()


def test_the_table_has_a_row_for_each_and_the_reason() -> None:
    found = lines(REPORT)
    assert "a model: latency, batch 1, at most 0.2 points of accuracy lost" in found[0]
    rows = [" ".join(line.split()) for line in found]
    assert (
        "int8 minmax, 1 float for harm threads 2, spinning off 89.90% 1000 B 2.000 ms "
        "2.00 (1.50 to 2.50) chosen"
    ) in rows
    assert any("micro-batch 8" in row for row in rows)
    assert any(
        row.startswith("fp32 default 90.00% 3.9 KiB") and row.endswith("base") for row in rows
    )
    assert "int8 entropy default - - - - outside [red]the budget" in rows
    assert rows[-1] == "chosen: int8"


def test_without_labels_the_table_has_noise() -> None:
    text = "\n".join(lines(unlabelled()))
    assert "SNR" in text
    assert "31.0 dB" in text
    assert "exact" in text


def test_json_is_strict_and_complete() -> None:
    open_ended = replace(CHOSEN, ratio=Ratio(2, 0, math.inf))
    report = replace(REPORT, trials=(open_ended, *REPORT.trials[1:]), chosen=open_ended)
    found = json.loads(json.dumps(tuning_json(report), allow_nan=False))
    first, base, refused = (found["candidates"][i] for i in (0, 3, 4))
    assert first["chosen"]
    assert first["float_layers"] == [{"name": "conv1", "source": "m.yaml:3:5", "reason": "harm"}]
    assert first["ratio"] == {"value": 2, "low": 0, "high": None}
    assert first["settings"]["threads"] == 2
    assert first["p50_ms"] == 2
    assert base["base"]
    assert base["snr_db"] is None
    assert refused["bytes"] is refused["ratio"] is refused["p50_ms"] is None
    assert refused["dropped"] == "outside [red]the budget"


def dots(axes: Axes) -> list[tuple[float, float, float]]:
    """Where each dot is, and its area."""
    found = [dot for dot in axes.collections if isinstance(dot, PathCollection)]
    return [
        (float(x), float(y), float(dot.get_sizes()[0]))
        for dot in found
        for x, y in np.asarray(dot.get_offsets())
    ]


def test_the_picture_has_what_was_timed_the_front_and_the_budget() -> None:
    figure = draw_pareto(REPORT)
    (axes,) = figure.axes
    assert {(x, y) for x, y, _ in dots(axes)} == {
        (2.0, 89.9),
        (2.5, 89.9),
        (3.0, 91.0),
        (4.0, 90.0),
    }
    (legend,) = figure.legends
    found = [text.get_text() for text in legend.get_texts()]
    assert found == [
        "int8 minmax, 1 float for harm (1000 B, 2.00x)",
        *("int8 minmax (1000 B, 1.33x)", "fp32 (3.9 KiB)", "Pareto front", "chosen"),
        "budget: at most 0.2 points of accuracy lost",
    ]
    front = next(line for line in axes.lines if line.get_label() == "Pareto front")
    assert front.get_xydata().tolist()[1:-1] == [[2.0, 89.9], [3.0, 91.0]]  # type: ignore[union-attr]
    areas = {area for _, _, area in dots(axes)}
    assert len(areas) == 3


@pytest.mark.parametrize("far", [False, True])
def test_pictures_are_written_and_all_dots_are_within(tmp_path: Path, far: bool) -> None:
    slow = trial(WORSE, 60.0 if far else 4.1)
    report = replace(unlabelled(), trials=(*unlabelled().trials, slow))
    figure = draw_pareto(report)
    (axes,) = figure.axes
    assert axes.get_xscale() == ("log" if far else "linear")
    for x, y, _ in dots(axes):
        assert axes.get_xlim()[0] < x < axes.get_xlim()[1]
        assert axes.get_ylim()[0] < y < axes.get_ylim()[1]
    save_figure(figure, tmp_path / "p.png")
    assert (tmp_path / "p.png").stat().st_size > 10_000
