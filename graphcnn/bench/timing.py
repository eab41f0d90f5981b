r"""Files timed in turns, and how much faster one is than another.

In every round each file runs for a short time, one at a time, in an order drawn anew: a load that
drifts falls on all alike. The ratio of two files is taken in each round, of their median times, and
the median of these ratios is reported. Its interval assumes no distribution: the number of
:math:`n` rounds whose ratio is below the true median is binomial with :math:`p = 1/2`, so the
:math:`k`-th smallest and the :math:`k`-th largest ratio hold that median between them with
probability :math:`1 - 2 P(B_n < k)`. Of fewer than six rounds no such pair has 95 %, and the
interval is open.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Protocol

CONFIDENCE = 0.95

_ASLEEP = 0.05
"""Seconds after which threads of onnxruntime that have nothing to do no longer spin: 35 ms was
measured with onnxruntime 1.31."""

_FEWEST = 7
"""Of a file that is slow no fewer rounds than this are run, however long they take."""

FIRST_RUNS = 2
"""The runs before the first round, in which onnxruntime takes its memory."""

_SEED = 0

Progress = Callable[[int, int], None]


class Runner(Protocol):
    """What can be timed, such as a `graphcnn.bench.worker.Worker`."""

    def run(self, batch: int, seconds: float) -> list[float]:
        """The seconds of each run of a batch, as many as fit into some seconds, or one."""


@dataclass(frozen=True)
class Timing:
    """How long the runs of a file took.

    Attributes:
        batch: The samples of a run.
        rounds: The seconds of each run, by round.
    """

    batch: int
    rounds: tuple[tuple[float, ...], ...]

    @cached_property
    def latencies(self) -> list[float]:
        """The seconds of all runs, the shortest first."""
        return sorted(seconds for block in self.rounds for seconds in block)

    @property
    def p50(self) -> float:
        """The median of the seconds of a run."""
        return self._quantile(0.5)

    @property
    def p90(self) -> float:
        """What nine runs in ten take at most, in seconds."""
        return self._quantile(0.9)

    @property
    def p99(self) -> float:
        """What 99 runs in a hundred take at most, in seconds."""
        return self._quantile(0.99)

    @property
    def throughput(self) -> float:
        """Samples a second, over all runs."""
        return self.batch * len(self.latencies) / sum(self.latencies)

    def _quantile(self, share: float) -> float:
        return self.latencies[max(0, math.ceil(share * len(self.latencies)) - 1)]


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times faster one file is than another.

    Attributes:
        value: The median over the rounds.
        low: Where the interval begins.
        high: Where it ends; infinite where there are too few rounds to tell.
    """

    value: float
    low: float
    high: float

    @property
    def differs(self) -> bool:
        """Whether the interval leaves 1 out."""
        return not self.low <= 1 <= self.high


def interleave(
    workers: Sequence[Runner],
    batch: int,
    seconds: float,
    rounds: int = 40,
    progress: Progress = lambda done, total: None,
) -> list[Timing]:
    """Time files in turns.

    Args:
        workers: What runs them.
        batch: The samples of a run.
        seconds: How long each file runs, over all rounds.
        rounds: How often each has its turn; less often, but seven times, where a single run takes
            longer than such a turn.
        progress: Called with the turns done so far, and in all.

    Returns:
        The times of each file, in the order of the workers.

    Raises:
        RuntimeFailure: A file does not run.
    """
    slowest = max(_warm(worker, batch) for worker in workers)
    rounds = min(rounds, max(_FEWEST, int(seconds / slowest)))
    found: list[list[tuple[float, ...]]] = [[] for _ in workers]
    order, drawn = list(range(len(workers))), random.Random(_SEED)
    for turn in range(rounds):
        drawn.shuffle(order)
        for place, index in enumerate(order):
            time.sleep(_ASLEEP if len(workers) > 1 else 0)
            found[index].append(tuple(workers[index].run(batch, seconds / rounds)))
            progress(turn * len(workers) + place + 1, rounds * len(workers))
    return [Timing(batch, tuple(blocks)) for blocks in found]


def _warm(worker: Runner, batch: int) -> float:
    """The seconds of a run after the first, in which onnxruntime takes its memory."""
    return [worker.run(batch, 0) for _ in range(FIRST_RUNS)][-1][-1]


def compare(base: Timing, other: Timing) -> Ratio:
    """How many times faster a file is than another that took turns with it.

    Args:
        base: The times of what it is compared with.
        other: Its times, in the same rounds.

    Returns:
        Above 1 where it is faster, with the interval of 95 % of the module's description.
    """
    pairs = zip(base.rounds, other.rounds, strict=True)
    ratios = sorted(median(first) / median(second) for first, second in pairs)
    outside = _outside(len(ratios))
    if not outside:
        return Ratio(median(ratios), 0.0, math.inf)
    return Ratio(median(ratios), ratios[outside - 1], ratios[-outside])


def _outside(rounds: int) -> int:
    """The largest k whose k-th smallest and largest of so many have 95 % between them."""
    below, k = 0.0, 0
    while True:
        below += math.comb(rounds, k) / 2**rounds
        if 2 * below > 1 - CONFIDENCE:
            return k
        k += 1
