"""Quantiles, ratios and their intervals on given numbers, and the order of turns."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest

from graphcnn.bench import timing
from graphcnn.bench.timing import Ratio, Timing, compare, interleave


class Fake:
    """Notes its turns in a list that several share, and says that each run takes some seconds."""

    def __init__(self, name: str, turns: list[tuple[str, int, float]], seconds: float) -> None:
        self.name, self.turns, self.seconds = name, turns, seconds

    def run(self, batch: int, seconds: float) -> list[float]:
        self.turns.append((self.name, batch, seconds))
        return [self.seconds] * max(1, round(seconds / self.seconds))


@pytest.fixture(autouse=True)
def _awake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "_ASLEEP", 0.0)


def test_quantiles_and_throughput() -> None:
    found = Timing(8, ((0.004, 0.002), tuple(i / 1000 for i in (1, 3, 5, 6, 7, 8, 9, 10))))
    assert (found.p50, found.p90, found.p99) == (0.005, 0.009, 0.010)
    assert found.throughput == pytest.approx(8 * 10 / 0.055)


def test_one_run() -> None:
    found = Timing(1, ((0.25,),))
    assert (found.p50, found.p99, found.throughput) == (0.25, 0.25, 4.0)


class TestInterleave:
    def test_each_has_a_turn_in_every_round(self) -> None:
        turns: list[tuple[str, int, float]] = []
        fakes = [Fake("a", turns, 0.001), Fake("b", turns, 0.002), Fake("c", turns, 0.001)]
        told: list[tuple[int, int]] = []
        found = interleave(fakes, 4, 0.8, 20, lambda done, total: told.append((done, total)))
        warm, measured = turns[:6], turns[6:]
        assert Counter(warm) == {(name, 4, 0): 2 for name in "abc"}
        rounds = [measured[i : i + 3] for i in range(0, 60, 3)]
        assert all(sorted(name for name, _, _ in one) == ["a", "b", "c"] for one in rounds)
        assert len({tuple(name for name, _, _ in one) for one in rounds}) > 3
        assert {(batch, seconds) for _, batch, seconds in measured} == {(4, 0.04)}
        assert [one.batch for one in found] == [4, 4, 4]
        assert [one.p50 for one in found] == [0.001, 0.002, 0.001]
        assert [len(one.rounds) for one in found] == [20, 20, 20]
        assert told == [(i, 60) for i in range(1, 61)]

    def test_slow_files_have_fewer_rounds(self) -> None:
        turns: list[tuple[str, int, float]] = []
        fakes = [Fake("a", turns, 0.001), Fake("b", turns, 0.1)]
        assert [len(found.rounds) for found in interleave(fakes, 1, 1.0)] == [10, 10]
        assert [len(found.rounds) for found in interleave(fakes, 1, 0.1)] == [7, 7]


def blocks(*seconds: float) -> Timing:
    return Timing(1, tuple((value, value, 100.0 * value) for value in seconds))


class TestCompare:
    def test_is_paired_by_round(self) -> None:
        load = [1.0, 5.0, 2.0, 9.0, 3.0, 1.5, 4.0, 8.0]
        found = compare(blocks(*load), blocks(*(value / 2 for value in load)))
        assert found == Ratio(2.0, 2.0, 2.0)
        assert found.differs

    def test_order_statistics(self) -> None:
        base = blocks(*[1.0] * 20)
        found = compare(base, blocks(*(1 / ratio for ratio in range(20, 0, -1))))
        assert found.value == pytest.approx(10.5)
        # B(20, 1/2) is below 6 with probability 0.0207, and below 7 with 0.0577.
        assert (found.low, found.high) == (pytest.approx(6), pytest.approx(15))

    def test_six_rounds_are_enough(self) -> None:
        ratios = [1.1, 1.2, 1.3, 1.4, 1.5, 1.6]
        found = compare(blocks(*ratios), blocks(*[1.0] * 6))
        assert (found.low, found.high) == (pytest.approx(1.1), pytest.approx(1.6))

    def test_five_are_not(self) -> None:
        found = compare(blocks(*[3.0] * 5), blocks(*[1.0] * 5))
        assert found == Ratio(3.0, 0.0, math.inf)
        assert not found.differs

    def test_no_difference(self) -> None:
        found = compare(blocks(*[1.0] * 9), blocks(0.8, 0.9, 0.95, 1.0, 1.0, 1.05, 1.1, 1.2, 1.3))
        assert found.low < 1 < found.high
        assert not found.differs

    def test_the_interval_covers_as_often_as_it_says(self) -> None:
        rng, covered = random.Random(0), 0
        for _ in range(1000):
            skewed = [math.exp(rng.expovariate(1) - math.log(2)) for _ in range(25)]
            found = compare(blocks(*skewed), blocks(*[1.0] * 25))
            covered += not found.differs
        assert 940 <= covered <= 985
