"""Candidates timed in turns with the plain float32 file, and the slower ones dropped.

Successive halving (Jamieson and Talwalkar 2016, "Non-stochastic Best Arm Identification and
Hyperparameter Optimization"): all run for a short time, the worse half is dropped, the rest run
twice as long, and so on. The plain float32 file with default settings runs in every round, and all
are ranked by how many times faster they were in the same rounds.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from graphcnn.bench.timing import Ratio, Timing, compare, interleave
from graphcnn.bench.worker import Worker
from graphcnn.errors import RuntimeFailure
from graphcnn.report.tuning import NO_TIME, Candidate, Objective, Trial

from .clock import Clock, OutOfTime

FIRST_SECONDS = 0.4
"""How long each runs before the first half is dropped."""

_ROUNDS = 8

SAME = Ratio(1.0, 1.0, 1.0)
"""Of the base beside itself."""

_MOST_CHILDREN = 8
_CHILD_BYTES = 150 * 2**20
_COPIES = 3
"""A session holds a file's weights as read, and again as its kernels want them; and a margin."""


class Measure(Protocol):
    """Times candidates in turns."""

    def __call__(
        self, candidates: Sequence[Candidate], batch: int, seconds: float, rounds: int
    ) -> list[Timing | RuntimeFailure]:
        """The times of each, or why it does not run.

        Args:
            candidates: The candidates.
            batch: The samples of a run.
            seconds: How long each runs.
            rounds: How often each has its turn.

        Raises:
            OutOfTime: The stage has to end.
        """


class Children:
    """Times candidates in child processes, one each, of which one runs at any time.

    Args:
        clock: Ends a measurement when its stage has to end.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(
        self, candidates: Sequence[Candidate], batch: int, seconds: float, rounds: int
    ) -> list[Timing | RuntimeFailure]:
        """Time candidates; see `Measure`."""
        failures: dict[int, RuntimeFailure] = {}
        workers: dict[int, Worker] = {}
        with ExitStack() as stack:
            for index, candidate in enumerate(candidates):
                self._clock.tick(f"loading {candidate.variant.label}")
                worker = Worker(candidate.variant.path, candidate.settings)
                try:
                    stack.enter_context(worker).run(batch, 0)
                    workers[index] = worker
                except RuntimeFailure as failure:
                    failures[index] = failure
            tick = self._clock.count("turns")
            timings = interleave(list(workers.values()), batch, seconds, rounds, tick)
        timed = dict(zip(workers, timings, strict=True))
        return [timed.get(index) or failures[index] for index in range(len(candidates))]


class Races:
    """Races of candidates against the plain float32 file, and what came of each.

    Args:
        base: The plain float32 file with default settings.
        objective: What ranks candidates.
        batch: The samples of a run.
        measure: Times them.

    Attributes:
        trials: The last of each candidate that was looked at, the base among them.
    """

    def __init__(self, base: Candidate, objective: Objective, batch: int, measure: Measure) -> None:
        self._base, self._objective, self._batch, self._measure = base, objective, batch, measure
        self.trials: dict[Candidate, Trial] = {base: Trial(base)}

    @property
    def base(self) -> Trial:
        """What is known of the plain float32 file."""
        return self.trials[self._base]

    def halve(self, candidates: Sequence[Candidate], keep: int, what: str) -> list[Candidate]:
        """Drop the slower half again and again.

        Args:
            candidates: The candidates, without the base.
            keep: How many to keep.
            what: What they are, for people.

        Returns:
            The best, the very best first. Where the time is over, by what was measured until then.
        """
        left, ranked, seconds = list(dict.fromkeys(candidates)), list[Candidate](), FIRST_SECONDS
        for candidate in left:
            self.trials.setdefault(candidate, Trial(candidate, dropped=NO_TIME))
        while left:
            try:
                ranked = self.rank(self.run(left, seconds, _ROUNDS))
            except OutOfTime:
                break
            if len(ranked) <= keep:
                break
            kept = max(keep, math.ceil(len(ranked) / 2))
            for candidate in ranked[kept:]:
                self._drop(candidate, f"in the worse half of {len(ranked)} {what}")
            left = ranked = ranked[:kept]
            seconds *= 2
        for candidate in ranked[keep:]:
            self._drop(candidate, "no time was left for another round")
        return ranked[:keep]

    def run(self, candidates: Sequence[Candidate], seconds: float, rounds: int) -> list[Trial]:
        """Time candidates beside the base, in groups that memory has room for.

        Returns:
            Those that ran.

        Raises:
            OutOfTime: The stage has to end; what was measured before stays.
            RuntimeFailure: The base does not run.
        """
        most = most_children([self._base, *candidates]) - 1
        found = []
        for start in range(0, len(candidates), most):
            group = candidates[start : start + most]
            first, *others = self._measure([self._base, *group], self._batch, seconds, rounds)
            if isinstance(first, RuntimeFailure):
                raise first
            self.trials[self._base] = Trial(self._base, first, SAME)
            for candidate, timing in zip(group, others, strict=True):
                if isinstance(timing, RuntimeFailure):
                    self._drop(candidate, f"does not run: {timing.message}")
                    continue
                found.append(Trial(candidate, timing, compare(first, timing)))
                self.trials[candidate] = found[-1]
        return found

    def rank(self, trials: Sequence[Trial]) -> list[Candidate]:
        """The best first: the fastest, or the smallest of those that are not slower."""

        def key(trial: Trial) -> tuple[float, ...]:
            assert trial.ratio
            if self._objective != "size":
                return (-trial.ratio.value,)
            size = trial.candidate.variant.bytes or 0
            return (trial.ratio.high < 1, size, -trial.ratio.value)

        return [trial.candidate for trial in sorted(trials, key=key)]

    def _drop(self, candidate: Candidate, reason: str) -> None:
        self.trials[candidate] = replace(self.trials[candidate], dropped=reason)


def most_children(candidates: Sequence[Candidate]) -> int:
    """How many candidates may be loaded at once: two at least, in half of the free memory."""
    largest = max(candidate.variant.bytes or 0 for candidate in candidates)
    room = _free_memory() // 2 // (_CHILD_BYTES + _COPIES * largest)
    return max(2, min(_MOST_CHILDREN, room))


def _free_memory() -> int:
    """The bytes that can be taken, as the system says; of an unknown system all that it has."""
    try:
        text = Path("/proc/meminfo").read_text()
    except OSError:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(text.split("MemAvailable:")[1].split()[0]) * 1024
