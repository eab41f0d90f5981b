"""Which layers to leave in float so that a budget holds: the most harmful first, as few as needed.

Each layer is put into integers alone and the damage measured: so much of the loss is its own. Then
the shortest head of that ranking is looked for whose layers in float make the budget hold, by
doubling its length and then halving the gap, and every file on the way is measured.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from .placement import WEIGHTED, Layer
from .quality import Limit, Quality

_MOST_SAMPLES = 2000
_FEWEST_SAMPLES = 256
_MOST_MACS = 20_000_000_000
"""What one layer's damage is measured with: as many samples as this many multiply-accumulates."""


@dataclass(frozen=True, slots=True)
class Damage:
    """What putting one layer into integers alone costs.

    Attributes:
        layer: The layer.
        accuracy: The accuracy lost, as a share of the samples; None without labels.
        snr: The signal-to-noise ratio of the output in dB.
    """

    layer: Layer
    accuracy: float | None
    snr: float


@dataclass(frozen=True, slots=True)
class Attempt:
    """A file that was made and measured.

    Attributes:
        floats: The layers in float, the most harmful first.
        quality: How good it is.
    """

    floats: tuple[Layer, ...]
    quality: Quality


class Measure(Protocol):
    """Makes a file with some layers in float, and measures it on all samples or the first few."""

    def __call__(self, floats: Sequence[Layer], samples: int | None = None) -> Quality:
        """How good the file is."""


def damages(
    layers: Sequence[Layer],
    measure: Measure,
    original: Quality,
    samples: int,
    progress: Callable[[int, int], None],
) -> tuple[Damage, ...]:
    """Each layer's own damage, the most harmful first.

    Args:
        layers: The layers that can be in integers.
        measure: Makes and measures a file.
        original: The float32 file's quality on the first samples.
        samples: How many of the held-out samples are used.
        progress: Called with the layers done so far, and in all.
    """
    found = []
    for count, layer in enumerate(layers, 1):
        others = [other for other in layers if other is not layer]
        found.append(_damage(layer, original, measure(others, samples)))
        progress(count, len(layers))
    return tuple(sorted(found, key=_harm))


def _damage(layer: Layer, original: Quality, quality: Quality) -> Damage:
    if original.accuracy is None or quality.accuracy is None:
        return Damage(layer, None, quality.snr)
    return Damage(layer, original.accuracy - quality.accuracy, quality.snr)


def _harm(damage: Damage) -> tuple[float, float]:
    return (-(damage.accuracy or 0.0), damage.snr)


def damage_samples(macs: int | None) -> int:
    """How many samples a layer's damage is measured on, by the multiply-accumulates of one."""
    if not macs:
        return _FEWEST_SAMPLES
    return max(_FEWEST_SAMPLES, min(_MOST_SAMPLES, _MOST_MACS // macs))


def put_back(
    ranking: Sequence[Layer],
    measure: Measure,
    limit: Limit,
    original: Quality,
    tried: Callable[[Attempt], None],
) -> None:
    """Find the fewest layers of a ranking that must be in float for a limit to hold.

    Args:
        ranking: The layers, the most harmful first. With none of them in float it does not hold;
            at least one with weights stays in integers.
        measure: Makes and measures a file.
        limit: What must hold.
        original: The float32 file's quality.
        tried: Told of every file.
    """

    def holds(count: int) -> bool:
        attempt = Attempt(tuple(ranking[:count]), measure(ranking[:count]))
        tried(attempt)
        return limit.holds(original, attempt.quality)

    most = max(i for i, layer in enumerate(ranking) if layer.op in WEIGHTED)
    too_few, step = 0, 1
    while too_few < most:
        count = min(too_few + step, most)
        if holds(count):
            bisect_left(range(count), True, too_few + 1, key=holds)
            return
        too_few, step = count, 2 * step
