"""Ctrl-C that is heard between steps.

Within one, TensorFlow may take a `KeyboardInterrupt` for an error of its own, or lose it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def held_interrupts() -> Iterator[Callable[[], None]]:
    """Hold a Ctrl-C back for a function, which is yielded, to raise it; a second one is not held.

    Where Ctrl-C is ignored, or somebody else handles it, that is left as it is.
    """
    before = signal.getsignal(signal.SIGINT)
    in_main = threading.current_thread() is threading.main_thread()
    if before is not signal.default_int_handler or not in_main:
        yield lambda: None
        return
    caught: list[int] = []

    def hold(number: int, _: object) -> None:
        caught.append(number)
        signal.signal(signal.SIGINT, before)

    def check() -> None:
        if caught:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, hold)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)
