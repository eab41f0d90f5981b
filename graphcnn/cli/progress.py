"""Progress: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, TextIO, cast

import click

_TOLD_OTHERWISE = ("epoch", "steps", "samples", "seconds", "learning_rate")
"""What of a record is not a loss or a metric."""


@contextmanager
def samples_bar(label: str) -> Iterator[Any]:
    """A callback for the samples done and in all: a bar on a terminal, nothing elsewhere."""
    with stages_bar() as tick:
        tick(label, 0, None)
        yield partial(tick, label)


@contextmanager
def stages_bar() -> Iterator[Any]:
    """A callback for a stage, what is done of it and in all: bars on a terminal, else nothing."""
    if not sys.stderr.isatty():
        yield lambda stage, done, total: None
        return
    from rich.markup import escape

    with _live() as bar:
        tasks: dict[str, Any] = {}

        def tick(stage: str, done: int, total: int | None) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(escape(stage), total=None)
            bar.update(tasks[stage], completed=done, total=total)

        yield tick


def _live(*more: str) -> Any:
    """Bars with counts on standard error, gone when they end; with more columns behind them."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, *more, console=Console(stderr=True), transient=True)


@contextmanager
def epoch_lines(epochs: int, log: str | None) -> Iterator[EpochLines]:
    """A `graphcnn.training.Progress`: a bar for the epoch on a terminal, and a line an epoch.

    Args:
        epochs: How many there will be.
        log: The file for a line of JSON an epoch, ``-`` for standard output, or None.
    """
    if log and log != "-":
        _open_log(log, "a").close()  # Refused before an earlier run is replaced.
    with ExitStack() as stack:
        bar = None
        if sys.stderr.isatty():
            bar = stack.enter_context(_live("loss {task.fields[loss]}"))
        lines = EpochLines(epochs, log, bar)
        stack.callback(lines.close)
        yield lines


def _open_log(path: str, mode: str) -> TextIO:
    from graphcnn.errors import ExportError

    try:
        return cast(TextIO, open(path, mode))
    except OSError as error:
        raise ExportError(f"{path} cannot be written: {error.strerror}") from error


class EpochLines:
    """Prints how a training goes.

    Args:
        epochs: How many epochs there will be.
        log: The file for a line of JSON an epoch, ``-`` for standard output, or None.
        bar: A `rich.progress.Progress` for the epoch, or None.
    """

    def __init__(self, epochs: int, log: str | None = None, bar: Any = None) -> None:
        self._epochs, self._path, self._bar = epochs, log, bar
        self._log: TextIO | None = None

    def started(self, history: Sequence[Mapping[str, Any]], notes: Sequence[str]) -> None:
        """Say what is not as in a run from the beginning, and begin the log.

        Raises:
            ExportError: The log cannot be written.
        """
        self._log = self._opened()
        for record in history:
            self._write(record)
        for note in notes:
            self._say(note)
        if history:
            self._say(f"going on after epoch {len(history)} of {self._epochs}")

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
        times = f"{record['seconds']:.1f} s, {rate:,.0f} samples/s"
        self._say(f"epoch {record['epoch']}/{self._epochs}: {', '.join(found)}, {times}")
        self._write(record)

    def close(self) -> None:
        """End the log."""
        if self._log and self._log is not sys.stdout:
            self._log.close()

    def _opened(self) -> TextIO | None:
        if self._path is None:
            return None
        return sys.stdout if self._path == "-" else _open_log(self._path, "w")

    def _write(self, record: Mapping[str, Any]) -> None:
        if self._log:
            print(json.dumps(dict(record)), file=self._log, flush=True)

    def _say(self, text: str) -> None:
        if self._bar:
            self._bar.console.print(text, highlight=False, markup=False)
        else:
            click.echo(text, err=True)
