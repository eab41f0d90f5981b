"""Which layers go back to float: the most harmful first, as few as needed, none measured twice."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from graphcnn.quantization import Attempt, Damage, Limit, Quality
from graphcnn.quantization.placement import Layer
from graphcnn.quantization.quantize import _best
from graphcnn.quantization.search import damage_samples, damages, put_back

ORIGINAL = Quality(0.9, math.inf)
LIMIT = Limit("accuracy", 0.01)


def layers(count: int) -> list[Layer]:
    return [Layer(f"c{i}", "Conv", None) for i in range(count)]


class Fake:
    """A file that loses a little for each layer in integers."""

    def __init__(self, harm: dict[str, float], everything: Sequence[Layer]) -> None:
        self.harm, self.everything = harm, everything
        self.asked: list[frozenset[str]] = []

    def __call__(self, floats: Sequence[Layer], samples: int | None = None) -> Quality:
        names = frozenset(layer.node for layer in floats)
        self.asked.append(names)
        lost = sum(self.harm.get(x.node, 0.0) for x in self.everything if x.node not in names)
        return Quality(0.9 - lost, 40 - 100 * lost)


def searched(count: int, needed: int) -> tuple[Fake, list[Attempt]]:
    """A search where so many layers of a ranking do harm."""
    ranking, tried = layers(count), list[Attempt]()
    fake = Fake({f"c{i}": 0.1 for i in range(needed)}, ranking)
    put_back(ranking, fake, LIMIT, ORIGINAL, tried.append)
    return fake, tried


@pytest.mark.parametrize("count", [2, 3, 8, 20])
def test_the_fewest_layers(count: int) -> None:
    for needed in range(1, count):
        fake, tried = searched(count, needed)
        holding = [a for a in tried if LIMIT.holds(ORIGINAL, a.quality)]
        fewest = min(holding, key=lambda attempt: len(attempt.floats))
        assert [layer.node for layer in fewest.floats] == [f"c{i}" for i in range(needed)]
        assert len(set(fake.asked)) == len(fake.asked) == len(tried)
        assert frozenset() not in fake.asked  # That one was measured before.
        assert all(len(names) < count for names in fake.asked)
        assert len(tried) <= 2 * math.ceil(math.log2(count)) + 1
        assert _best(tried, LIMIT, ORIGINAL) is fewest


@pytest.mark.parametrize("count", [1, 2, 3, 8, 20])
def test_no_mix_holds(count: int) -> None:
    fake, tried = searched(count, count)
    assert len(set(fake.asked)) == len(fake.asked) == len(tried)
    assert all(len(names) < count for names in fake.asked)
    if count == 1:
        assert tried == []
        return
    assert len(tried[-1].floats) == count - 1
    assert _best([Attempt((), fake(())), *tried], LIMIT, ORIGINAL) == tried[-1]


def test_the_closest_is_the_best_where_none_holds() -> None:
    found = [Attempt((), Quality(None, 10)), Attempt((), Quality(None, 20)),
             Attempt((), Quality(None, 15))]  # fmt: skip
    assert _best(found, Limit("snr", 30), Quality(None, math.inf)) is found[1]
    assert _best(found, None, Quality(None, math.inf)) is found[0]
    assert _best(found, Limit("snr", 12), Quality(None, math.inf)) is found[1]


def test_each_layer_alone_the_most_harmful_first() -> None:
    everything, seen = layers(4), list[tuple[int, int]]()
    fake = Fake({"c0": 0.01, "c2": 0.2, "c3": 0.05}, everything)
    found = damages(everything, fake, ORIGINAL, 100, lambda *tick: seen.append(tick))
    assert [damage.layer.node for damage in found] == ["c2", "c3", "c0", "c1"]
    assert [damage.accuracy for damage in found] == pytest.approx([0.2, 0.05, 0.01, 0])
    nodes = {layer.node for layer in everything}
    assert [nodes - names for names in fake.asked] == [{"c0"}, {"c1"}, {"c2"}, {"c3"}]
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_ties_and_missing_labels_go_by_the_noise() -> None:
    everything = layers(3)

    def measure(floats: Sequence[Layer], samples: int | None = None) -> Quality:
        (alone,) = {layer.node for layer in everything} - {layer.node for layer in floats}
        return Quality(None, {"c0": 30.0, "c1": 10.0, "c2": math.inf}[alone])

    found = damages(everything, measure, Quality(None, math.inf), 10, lambda *_: None)
    assert [damage.layer.node for damage in found] == ["c1", "c0", "c2"]
    assert found[0] == Damage(everything[1], None, 10.0)


@pytest.mark.parametrize(
    ("macs", "expected"),
    [(None, 256), (0, 256), (1, 2000), (20_000_000, 1000), (10**12, 256)],
)
def test_the_samples_of_a_damage(macs: int | None, expected: int) -> None:
    assert damage_samples(macs) == expected


def test_a_file_whose_weights_are_all_in_float_is_none_in_integers() -> None:
    pools = [Layer(f"p{i}", "AveragePool", None) for i in range(3)]
    ranking, tried = [*layers(2), *pools], list[Attempt]()
    put_back(ranking, Fake({"c0": 0.1, "c1": 0.1}, ranking), LIMIT, ORIGINAL, tried.append)
    assert [[layer.node for layer in attempt.floats] for attempt in tried] == [["c0"]]
