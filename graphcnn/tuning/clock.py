"""A limit of time, shared among the stages of a search."""

from __future__ import annotations

import time
from collections.abc import Callable

Told = Callable[[str, float, float], None]
"""Called with what is being done, the seconds gone, and the seconds that there are."""


_DECIDING_SECONDS, _DECIDING_SHARE = 15.0, 0.25


class OutOfTime(Exception):
    """A stage's time is over: what goes on in it is given up."""


class Clock:
    """Tells how it goes, and when a stage has to end.

    Args:
        limit: The seconds that there are.
        told: Told how it goes.
        now: What tells the time, in seconds.
    """

    def __init__(
        self,
        limit: float,
        told: Told = lambda stage, gone, limit: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit, self._told, self._now, self._start = limit, told, now, now()
        self._stage, self._end = "", limit

    @property
    def gone(self) -> float:
        """The seconds since the start."""
        return self._now() - self._start

    @property
    def left(self) -> float:
        """The seconds until the stage has to end."""
        return self._end - self.gone

    def begin(self, stage: str, share: float) -> None:
        """Begin a stage that ends when a share of all the time is gone.

        Before the last, whose share is 1, the least that it needs to decide is set aside.
        """
        kept = 0.0 if share == 1 else min(_DECIDING_SECONDS, _DECIDING_SHARE * self._limit)
        self._stage, self._end = stage, share * (self._limit - kept)

    def tick(self, detail: str = "") -> None:
        """Tell what is being done.

        Raises:
            OutOfTime: The stage has to end.
        """
        self._told(f"{self._stage}: {detail}" if detail else self._stage, self.gone, self._limit)
        if self.left <= 0:
            raise OutOfTime

    def count(self, what: str) -> Callable[[int, int], None]:
        """A callback that ticks, for what is done of something, and in all."""
        return lambda done, total: self.tick(f"{what}, {done:,} of {total:,}")
