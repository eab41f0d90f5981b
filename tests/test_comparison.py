"""How far values are apart: the figures, and what is within a tolerance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphcnn.comparison
from graphcnn.comparison import Difference, Differing, Tolerance, VerifyReport
from graphcnn.errors import OptionError


def difference(a: Any, b: Any, tolerance: Tolerance | None = None, **more: Any) -> Difference:
    total = Differing()
    total.add(np.asarray(a, np.float32), np.asarray(b, np.float32))
    named = {"name": "x", "other": "x", "where": "", "certain": True, **more}
    return total.difference(**named, tolerance=tolerance or Tolerance())


def test_figures() -> None:
    found = difference([[3.0, 4.0], [0.0, -8.0]], [[4.0, 3.0], [0.0, -8.0]])
    assert (found.samples, found.sizes) == (2, (2,))
    assert (found.largest_absolute, found.scale) == (1.0, 8.0)
    assert found.largest_relative == 1 / 8
    assert found.cosine == pytest.approx(24 / 25)
    assert found.same_argmax == 1
    assert found.bound == pytest.approx(1e-6 + 8e-4)
    assert not found.within


def test_the_bound_itself_is_within() -> None:
    assert difference([[2.0]], [[2.5]], Tolerance(rtol=0.125, atol=0.25)).within
    assert not difference([[2.0]], [[2.625]], Tolerance(rtol=0.125, atol=0.25)).within


def test_the_bound_is_relative_to_a_alone() -> None:
    tolerance = Tolerance(rtol=0.5, atol=0)
    assert difference([[4.0]], [[2.0]], tolerance).within
    assert not difference([[2.0]], [[4.0]], tolerance).within


def test_only_a_zero() -> None:
    assert difference([[0.0]], [[1.0]]).largest_relative is None
    assert difference([[0.0]], [[0.0]]).largest_relative == 0


@pytest.mark.parametrize(
    ("a", "b", "nan", "inf", "within"),
    [
        ([np.nan, 1], [1, 1], (1, 0), (0, 0), False),
        ([np.nan, 1], [np.nan, 1], (1, 1), (0, 0), False),
        ([np.inf, 1], [np.inf, 1], (0, 0), (1, 1), True),
        ([np.inf, 1], [-np.inf, 1], (0, 0), (1, 1), False),
        ([1, 1], [1, np.inf], (0, 0), (0, 1), False),
    ],
)
def test_numbers_that_are_not_finite(
    a: Any, b: Any, nan: tuple[int, int], inf: tuple[int, int], within: bool
) -> None:
    found = difference([a], [b])
    assert (found.nan, found.inf, found.within) == (nan, inf, within)
    assert found.largest_absolute == 0


def test_cosine_of_zeros() -> None:
    assert difference([[0, 0], [1, 2]], [[0, 0], [2, 4]]).cosine == pytest.approx(1)
    assert difference([[0, 0], [1, 2]], [[0, 1], [1, 2]]).cosine == 0
    assert difference([[1e38, 0]], [[2e38, 0]]).cosine == 1


@pytest.mark.parametrize(
    ("sizes", "counted"), [((3,), True), ((1, 1, 3), True), ((1,), False), ((2, 3), False)]
)
def test_argmax_is_of_rows(sizes: tuple[int, ...], counted: bool) -> None:
    values = np.arange(2 * np.prod(sizes)).reshape(2, *sizes)
    assert difference(values, values).same_argmax == (2 if counted else None)


def test_blocks_and_batches_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 7, 5, 3)).astype(np.float32)
    whole = difference(a, b)
    monkeypatch.setattr(graphcnn.comparison, "_AT_ONCE", 20)
    total = Differing()
    for start in range(0, 7, 3):
        total.add(a[start : start + 3], b[start : start + 3])
    assert total.difference("x", "x", "", True, Tolerance()) == whole


@pytest.mark.parametrize("value", [-1e-9, float("nan"), float("inf")])
def test_tolerance_is_a_number(value: float) -> None:
    with pytest.raises(OptionError, match="atol: expected a number from 0"):
        Tolerance(atol=value)


def test_a_layer_that_was_guessed_decides_nothing() -> None:
    output = difference([[1.0]], [[1.0]])
    guessed = difference([[1.0]], [[2.0]], name="guessed", certain=False)
    named = difference([[1.0]], [[2.0]], name="named")

    def report(*layers: Difference) -> VerifyReport:
        return VerifyReport(("a", "b"), ("x", "y"), 1, "", Tolerance(), (output,), layers)

    assert report(guessed).equal
    assert report(guessed).first == guessed
    assert not report(guessed, named).equal
