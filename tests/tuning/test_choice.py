"""What is chosen of made-up last comparisons: never what was slower than plain float32."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphcnn.bench.timing import Ratio
from graphcnn.report.tuning import Candidate, FloatLayer, Trial
from graphcnn.tuning.choice import acceptable, explained, stays_float

from .fakes import BASE, candidate, variant

PLAIN = Trial(BASE, None, Ratio(1, 1, 1))


def trial(name: str, value: float, low: float, high: float, size: int = 500) -> Trial:
    return Trial(candidate(name, size=size), None, Ratio(value, low, high))


def test_the_fastest_of_those_that_are_faster_for_certain_is_chosen() -> None:
    fast, faster = trial("a", 1.5, 1.4, 1.6), trial("b", 2.0, 1.2, 2.5)
    unsure = trial("c", 3.0, 0.99, 5.0)
    assert acceptable([fast, unsure, faster], PLAIN, "latency") == [faster, fast]
    assert acceptable([unsure], PLAIN, "throughput") == []


def test_the_smallest_of_those_that_are_not_slower_is_chosen_for_size() -> None:
    same = trial("a", 1.0, 0.97, 1.03, size=500)
    slower, unsure = trial("b", 0.98, 0.96, 0.99, 100), trial("c", 1.0, 0.5, 2.0, 100)
    larger = trial("d", 2.0, 1.9, 2.1, size=1000)
    assert acceptable([larger, slower, unsure, same], PLAIN, "size") == [same]


ratios = st.tuples(*[st.floats(0.1, 10)] * 3).map(sorted)


@given(st.lists(ratios, max_size=6))
def test_nothing_slower_is_ever_accepted(found: list[list[float]]) -> None:
    finals = [trial(str(i), value, low, high) for i, (low, value, high) in enumerate(found)]
    for objective in ("latency", "throughput"):
        chosen = acceptable(finals, PLAIN, objective)
        assert all(t.ratio and t.ratio.low > 1 for t in chosen)
        assert bool(chosen) == any(low > 1 for low, _, _ in found)
    for t in acceptable(finals, PLAIN, "size"):
        assert t.ratio
        assert t.ratio.high >= 1


def test_the_sentence_names_layers_and_why_they_stay_in_float() -> None:
    floats = (
        FloatLayer("conv1", "conv1/conv", "model.yaml:3:5", "harm"),
        FloatLayer("dense", "dense/gemm", "", "speed"),
    )
    mixed = replace(
        variant("a", "int8", 270), method="minmax", floats=floats, accuracy=0.898, snr=30.0
    )
    chosen = Trial(Candidate(mixed, candidate("a", threads=2).settings), None, Ratio(2.3, 2.2, 2.4))
    text = explained(chosen, PLAIN, [chosen], [chosen, PLAIN])
    assert text == (
        "chosen: int8 minmax, 1 float for harm, 1 float for speed with threads 2: "
        "2.30 (2.20 to 2.40) times as fast as plain float32, 0.27 of its size, "
        "accuracy -0.20 points; in float for the budget: conv1 (model.yaml:3:5); "
        "in float being slower in integers: dense"
    )


def test_where_float_is_chosen_it_says_what_integers_were_like() -> None:
    chosen = Trial(BASE, None, Ratio(1.5, 1.4, 1.6))
    slow, unmade = trial("a", 0.44, 0.4, 0.5), Trial(candidate("b"), dropped="outside the budget")
    text = explained(chosen, PLAIN, [chosen], [chosen, unmade, slow])
    assert text.endswith("the same accuracy; int8 was 0.44 times as fast at best")
    text = explained(chosen, PLAIN, [chosen], [chosen, unmade])
    assert text.endswith("the same accuracy; int8: outside the budget")


def test_many_layers_are_counted() -> None:
    floats = tuple(FloatLayer(f"layer{i}", f"node{i}", "", "speed") for i in range(20))
    (text,) = stays_float(variant("a", "int8", floats=floats))
    assert "layer7, 12 more" in text


@pytest.mark.parametrize(
    ("finals", "expected"),
    [
        ([], "no time was left for the last comparison"),
        (
            [trial("a", 1.02, 0.98, 1.1)],
            "the best of the others, int8 with default settings, was 1.02 (0.98 to 1.10) times as "
            "fast, which is no gain for certain; int8 was 1.02 times as fast at best",
        ),
    ],
)
def test_where_plain_float32_is_kept_it_says_why(finals: list[Trial], expected: str) -> None:
    trials = [PLAIN, *(finals or [trial("a", 2, 1, 3)])]
    text = explained(PLAIN, PLAIN, finals, trials)
    assert text == f"plain float32 with default settings is kept: {expected}"


def test_it_says_when_nothing_was_timed() -> None:
    text = explained(PLAIN, PLAIN, [], [PLAIN, Trial(candidate("a"))])
    assert text.endswith("no time was left to time others")
