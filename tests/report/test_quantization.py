"""What was put into integers: for people, and as JSON."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from rich.console import Console

from graphcnn.errors import SourceLocation
from graphcnn.graph import Origin
from graphcnn.quantization import (
    Arithmetic,
    Attempt,
    Damage,
    Limit,
    Quality,
    QualityReport,
    QuantizationReport,
)
from graphcnn.quantization.placement import Layer
from graphcnn.report.quantization import (
    quality_json,
    quality_line,
    quantization_json,
    quantization_table,
)

ORIGIN = Origin("stem", "Conv2D", SourceLocation("model.yaml", 4, 5))
STEM = Layer("stem/conv", "Conv", ORIGIN)
OTHER = Layer("Conv_\x1b[31m7", "Conv", None)
ASKED = Layer("gate", "Sigmoid", None)


def report(labelled: bool = True, **changes: Any) -> QuantizationReport:
    before = Quality(0.768 if labelled else None, math.inf)
    after = Quality(0.767 if labelled else None, 31.25)
    fields: dict[str, Any] = {
        "arithmetic": Arithmetic(False, True, "i7 has no VNNI"),
        "method": "entropy",
        "calibrated": 1024,
        "quality": QualityReport(
            original=before, quality=after, limit=Limit("accuracy", 0.002), held_out=10_000,
            split="the test split",
        ),
        "attempts": (Attempt((), Quality(before.accuracy, 9.5)), Attempt((STEM,), after)),
        "best": Attempt((STEM,), after),
        "damages": (
            Damage(STEM, 0.012 if labelled else None, 12.34),
            Damage(OTHER, -0.001 if labelled else None, math.inf),
        ),
        "damage_samples": 2000,
        "layers": 3,
        "asked": (ASKED,),
    }  # fmt: skip
    return QuantizationReport(**fields | changes)


def printed(found: QuantizationReport) -> list[str]:
    console = Console(width=100, force_terminal=False)
    with console.capture() as capture:
        console.print(quantization_table(found))
    return capture.get().splitlines()


def test_the_table() -> None:
    lines = printed(report())
    assert lines[:4] == [
        "int8: uint8 activations, int8 of 7 bits weights a channel (i7 has no VNNI)",
        "ranges: entropy of 1,024 samples",
        "76.80% to 76.70% accurate (-0.10 points), on the test split (10,000 samples)",
        "2 of 3 layers in float: gate, stem",
    ]
    assert "each layer alone in integers, on 2,000 samples" in lines[5]
    rows = [line.split() for line in lines if "dB" in line or "no noise" in line]
    assert " ".join(rows[0]) == "stem (Conv2D) Conv model.yaml:4:5 -1.20 points 12.3 dB float"
    assert rows[1][-5:] == ["+0.10", "points", "no", "noise", "int8"]
    assert "\x1b" not in "".join(lines)


def test_the_table_without_labels_or_damages() -> None:
    lines = printed(report(labelled=False))
    assert lines[2] == "31.2 dB, on the test split (10,000 samples)"
    assert not any("points" in line or "accuracy" in line for line in lines)
    short = printed(report(damages=(), asked=(), best=Attempt((), Quality(0.767, 31.25))))
    assert short[-1] == "0 of 3 layers in float"
    assert len(short) == 4


def test_a_line() -> None:
    assert quality_line(report().quality).startswith("76.80% to 76.70% accurate (-0.10 points), on")


def test_json() -> None:
    def strict(value: Any) -> Any:
        return json.loads(json.dumps(value, allow_nan=False))

    assert strict(quality_json(report().quality)) == {
        "float32": {"accuracy": 0.768, "snr_db": None},
        "file": {"accuracy": 0.767, "snr_db": 31.25},
        "budget": {"accuracy": 0.002},
        "held_out": {"samples": 10_000, "split": "the test split"},
    }
    found = strict(quantization_json(report()))
    assert found["activations"] == "uint8"
    assert found["weights"] == "int8 of 7 bits"
    assert found["reason"] == "i7 has no VNNI"
    assert found["calibration"] == {"method": "entropy", "samples": 1024}
    assert found["float_layers"] == [
        {"layer": "gate", "node": "gate", "op": "Sigmoid", "place": None},
        {"layer": "stem", "node": "stem/conv", "op": "Conv", "place": "model.yaml:4:5"},
    ]
    assert found["attempts"] == [
        {"float_layers": 0, "accuracy": 0.768, "snr_db": 9.5},
        {"float_layers": 1, "accuracy": 0.767, "snr_db": 31.25},
    ]
    assert found["damages"][0]["accuracy_lost"] == pytest.approx(0.012)
    assert found["damages"][1]["snr_db"] is None


def test_json_without_a_budget() -> None:
    plain = QualityReport(
        original=Quality(None, math.inf), quality=Quality(None, 3.0), limit=None, held_out=2,
        split="half of the samples",
    )  # fmt: skip
    assert quality_json(plain)["budget"] is None
    assert plain.holds
