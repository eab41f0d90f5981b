"""Budgets as people write them, and how good a file is beside another."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from graphcnn.errors import DataError, EvaluationError, OptionError
from graphcnn.quantization import BudgetExceeded, Limit, Quality, QualityReport, Reference

LABELS = np.array([0, 1, 1, 0])
X = np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 3.0], [4.0, 0.0]], np.float32)


def scaling(path: Path, *factors: float) -> Path:
    """A file that multiplies two numbers."""
    node = helper.make_node("Mul", ["x", "k"], ["y"], "y")
    sizes = ["N", 2]
    graph = helper.make_graph(
        [node],
        "scaling",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, sizes)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, sizes)],
        [numpy_helper.from_array(np.array(factors, np.float32), "k")],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("accuracy=0.002", Limit("accuracy", 0.002)),
        (" accuracy = .5 ", Limit("accuracy", 0.5)),
        ("accuracy=0", Limit("accuracy", 0.0)),
        ("accuracy=1", Limit("accuracy", 1.0)),
        ("snr=30", Limit("snr", 30.0)),
        ("snr=30.", Limit("snr", 30.0)),
    ],
)
def test_a_limit_is_read(text: str, expected: Limit) -> None:
    assert Limit.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "0.002", "accuracy", "accuracy=", "accuracy=-0.1", "accuracy=1e-3", "accuracy=0.2%",
     "accuracy=nan", "snr=inf", "snr=-3", "loss=1", "accuracy=0.1,snr=3", "snr=3dB", "snr=.",
     "ACCURACY=0.1", "accuracy=0,002", "accuracy==0.1"],
)  # fmt: skip
def test_what_is_no_limit(text: str) -> None:
    with pytest.raises(OptionError, match="expected accuracy=SHARE or snr=DECIBELS"):
        Limit.parse(text)


def test_points_are_not_shares() -> None:
    with pytest.raises(OptionError, match="a share from 0 to 1, found 2") as error:
        Limit.parse("accuracy=2")
    assert error.value.hint == "accuracy=0.02 is 2 points"


@pytest.mark.parametrize("right", [7680, 9890, 3333, 9999])
def test_a_limit_holds_at_its_edge(right: int) -> None:
    limit, original = Limit("accuracy", 0.002), Quality(right / 10_000, math.inf)
    assert limit.holds(original, Quality((right - 20) / 10_000, 20))
    assert not limit.holds(original, Quality((right - 21) / 10_000, 20))
    assert limit.excess(original, Quality((right - 120) / 10_000, 20)) == pytest.approx(0.01)


def test_no_loss_is_allowed_by_zero() -> None:
    limit, original = Limit("accuracy", 0), Quality(0.7, math.inf)
    assert limit.holds(original, Quality(0.7, 20))
    assert limit.holds(original, Quality(0.8, 20))
    assert not limit.holds(original, Quality(0.6999, 20))


def test_a_limit_of_decibels() -> None:
    limit, original = Limit("snr", 30), Quality(None, math.inf)
    assert limit.holds(original, Quality(None, 30))
    assert limit.holds(original, Quality(None, math.inf))
    assert not limit.holds(original, Quality(None, 29.999))
    assert not limit.holds(original, Quality(None, math.nan))
    assert limit.excess(original, Quality(None, 20)) == 10


def test_a_limit_needs_labels() -> None:
    with pytest.raises(DataError, match="no labels"):
        Limit("accuracy", 0.1).holds(Quality(None, math.inf), Quality(None, 30))


def test_a_limit_in_words() -> None:
    assert str(Limit("accuracy", 0.002)) == "at most 0.2 points of accuracy lost"
    assert str(Limit("snr", 30)) == "at least 30 dB"


def test_decibels_by_hand(tmp_path: Path) -> None:
    reference = Reference(scaling(tmp_path / "a.onnx", 1, 1), X, None)
    assert reference.quality == Quality(None, math.inf)
    found = reference.measure(scaling(tmp_path / "b.onnx", 0.9, 1))
    # Signal 1 + 4 + 9 + 16; noise a tenth of 1 and of 4.
    assert found.snr == pytest.approx(10 * math.log10(30 / (0.01 + 0.16)), rel=1e-6)
    assert found.accuracy is None
    alone = reference.measure(scaling(tmp_path / "b.onnx", 0.9, 1), 2)
    assert alone.snr == pytest.approx(10 * math.log10(5 / 0.01), rel=1e-6)


def test_accuracy_beside_decibels(tmp_path: Path) -> None:
    reference = Reference(scaling(tmp_path / "a.onnx", 1, 1), X, LABELS)
    assert reference.quality == Quality(1.0, math.inf)
    assert reference.measure(scaling(tmp_path / "b.onnx", 1, -1)).accuracy == 0.5
    assert reference.measure(scaling(tmp_path / "b.onnx", 1, -1), 1).accuracy == 1.0
    assert reference.first(3) == Quality(1.0, math.inf)


def test_equal_outputs_have_no_noise(tmp_path: Path) -> None:
    path = scaling(tmp_path / "a.onnx", 1, 1)
    assert Reference(path, X, LABELS).measure(path) == Quality(1.0, math.inf)


def test_silence(tmp_path: Path) -> None:
    silent = scaling(tmp_path / "a.onnx", 0, 0)
    reference = Reference(silent, X, None)
    assert reference.measure(silent).snr == math.inf
    loud = reference.measure(scaling(tmp_path / "b.onnx", 1, 1))
    assert -4000 < loud.snr < -1000
    assert not Limit("snr", 0).holds(reference.quality, loud)
    assert "no noise" not in report(reference.quality, loud).loss


@pytest.mark.parametrize("labels", [LABELS, None])
def test_outputs_that_are_not_finite(labels: np.ndarray | None, tmp_path: Path) -> None:
    path, broken = scaling(tmp_path / "a.onnx", 1, 1), scaling(tmp_path / "b.onnx", 1, math.nan)
    reference = Reference(path, X, labels)
    with pytest.raises(EvaluationError, match="4 of 4 predictions are not finite"):
        reference.measure(broken)
    with pytest.raises(EvaluationError, match="4 of 4 predictions are not finite"):
        Reference(broken, X, labels)


def report(original: Quality, quality: Quality, limit: Limit | None = None) -> QualityReport:
    return QualityReport(
        original=original, quality=quality, limit=limit, held_out=4, split="the test split"
    )


def test_losses_in_words() -> None:
    found = report(Quality(0.768, math.inf), Quality(0.7655, 25.04), Limit("accuracy", 0.002))
    assert found.loss == "76.80% to 76.55% accurate (-0.25 points)"
    assert not found.holds
    assert report(Quality(None, math.inf), Quality(None, 25.04)).loss == "25.0 dB"
    assert report(Quality(None, math.inf), Quality(None, math.inf)).loss == "no noise"


def test_a_budget_that_does_not_hold_is_a_check() -> None:
    found = report(Quality(None, math.inf), Quality(None, 25.0), Limit("snr", 30))
    error = BudgetExceeded(found, "the file")
    assert error.exit_code == 1
    assert "at least 30 dB, and the file is 25.0 dB" in str(error)
