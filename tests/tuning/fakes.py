"""Timings that are made up, and a clock that is set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from graphcnn.bench.timing import Timing
from graphcnn.errors import RuntimeFailure
from graphcnn.quantization.precision import Precision
from graphcnn.report.tuning import Candidate, FloatLayer, Variant
from graphcnn.runtime.settings import Settings
from graphcnn.tuning.clock import OutOfTime


def variant(
    name: str, precision: Precision = "fp32", size: int = 1000, floats: tuple[FloatLayer, ...] = ()
) -> Variant:
    path = Path(f"/nowhere/{name}.onnx")
    return Variant(path=path, precision=precision, bytes=size, accuracy=0.9, floats=floats)


def candidate(
    name: str, precision: Precision = "int8", size: int = 500, threads: int | None = None
) -> Candidate:
    return Candidate(variant(name, precision, size), Settings(threads=threads))


BASE = Candidate(variant("base"), Settings())


class Fake:
    """Gives each candidate the times that it is said to have.

    Args:
        seconds: What a run of a candidate takes; a failure for one that does not run.
        noise: What the seconds are multiplied by, round after round.
        calls: After this many calls the time is over.
    """

    def __init__(
        self,
        seconds: Callable[[Candidate], float | RuntimeFailure],
        noise: Sequence[float] = (1.0,),
        calls: int = 1000,
    ) -> None:
        self._seconds, self._noise, self._left = seconds, noise, calls
        self.calls: list[tuple[list[Candidate], float, int]] = []
        self.batches: set[int] = set()

    def __call__(
        self, candidates: Sequence[Candidate], batch: int, seconds: float, rounds: int
    ) -> list[Timing | RuntimeFailure]:
        if self._left == len(self.calls):
            raise OutOfTime
        self.calls.append((list(candidates), seconds, rounds))
        self.batches.add(batch)
        return [self._timing(candidate, batch, rounds) for candidate in candidates]

    def _timing(self, candidate: Candidate, batch: int, rounds: int) -> Timing | RuntimeFailure:
        found = self._seconds(candidate)
        if isinstance(found, RuntimeFailure):
            return found
        noise = self._noise if candidate.variant.precision != "fp32" else (1.0,)
        return Timing(batch, tuple((found * noise[i % len(noise)],) for i in range(rounds)))
