"""Progress: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

import click

_TOLD_OTHERWISE = ("epoch", "steps", "samples", "seconds", "learning_rate")
"""What of a record is not a loss or a metric."""


@contextmanager
def samples_bar(label: str) -> Iterator[Any]:
    """A callback for the samples done and in all: a bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(label, *columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def epoch_lines(epochs: int, log: TextIO | None) -> Iterator[Any]:
    """A `graphcnn.training.Progress`: a bar for the epoch on a terminal, and a line an epoch.

    Args:
        epochs: How many there will be.
        log: Where a line of JSON an epoch goes too.
    """
    if not sys.stderr.isatty():
        yield EpochLines(epochs, log, None)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), "loss {task.fields[loss]}")
    console = Console(stderr=True)
    with Progress("{task.description}", *columns, console=console, transient=True) as bar:
        yield EpochLines(epochs, log, bar)


class EpochLines:
    """Prints how a training goes.

    Args:
        epochs: How many epochs there will be.
        log: Where a line of JSON an epoch goes too.
        bar: A `rich.progress.Progress` for the epoch, or None.
    """

    def __init__(self, epochs: int, log: TextIO | None, bar: Any) -> None:
        self._epochs, self._log, self._bar = epochs, log, bar

    def started(self, resumed: int, notes: Sequence[str]) -> None:
        """Say what is not as in a run from the beginning."""
        for note in notes:
            self._say(note)
        if resumed:
            self._say(f"going on after epoch {resumed} of {self._epochs}")

    def epoch(self, number: int, steps: int) -> None:
        """Begin a bar."""
        if self._bar:
            text = f"epoch {number}/{self._epochs}"
            self._task = self._bar.add_task(text, total=steps, loss="-")

    def steps(self, count: int, loss: float) -> None:
        """Move the bar."""
        if self._bar:
            self._bar.update(self._task, advance=count, loss=f"{loss:.4f}")

    def record(self, record: Mapping[str, Any]) -> None:
        """Print the epoch's line."""
        if self._bar:
            self._bar.remove_task(self._task)
        found = [f"{k} {v:.4f}" for k, v in record.items() if k not in _TOLD_OTHERWISE]
        rate = record["samples"] / max(record["seconds"], 1e-9)
        head = f"epoch {record['epoch']}/{self._epochs}"
        self._say(", ".join([*found, f"{record['seconds']:.1f} s", f"{rate:,.0f} samples/s"]), head)
        if self._log:
            print(json.dumps(dict(record)), file=self._log, flush=True)

    def _say(self, text: str, head: str = "") -> None:
        line = f"{head}: {text}" if head else text
        if self._bar:
            self._bar.console.print(line, highlight=False, markup=False)
        else:
            click.echo(line, err=True)
