"""A training's log, and a picture of it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphcnn.errors import PictureError, TrainingError
from graphcnn.recipe import history as recipe_history

from .figure import fitted, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TRAINING, _VALIDATION, _BEST = "#0072b2", "#d55e00", "#333333"

_MARKED = 30
"""With more epochs than this a mark for each would hide the lines."""

History = dict[str, list[float]]


def read_history(run: Path) -> History:
    """Read a training's log.

    Args:
        run: The run's directory, or the log itself: a JSON object a line, one for each epoch.

    Returns:
        ``epoch`` and each figure that the log holds, a number an epoch in the order of the epochs;
        NaN where a line lacks it. Of an epoch that was done again, after a resume, the last line
        counts. A last line that is still being written does not.

    Raises:
        PictureError: There is no log, no epoch in it, or a line is not one of a training's log.
    """
    path = run / recipe_history.LOG if run.is_dir() else run
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise PictureError(f"{path}: no such file", hint="graphcnn train writes it") from None
    except (OSError, UnicodeDecodeError) as error:
        raise PictureError(f"{path} cannot be read: {error}") from error
    complete = text[: text.rfind("\n") + 1].splitlines()
    lines = [_parsed(path, number, line) for number, line in enumerate(complete, 1)]
    if not lines:
        raise PictureError(f"{path}: no epoch is finished yet")
    by_epoch = {line["epoch"]: line for line in lines}
    rows = [by_epoch[epoch] for epoch in sorted(by_epoch)]
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name, math.nan) for row in rows] for name in names}


def _parsed(path: Path, number: int, line: str) -> dict[str, float]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise PictureError(f"{path}:{number}: not JSON: {error}") from None
    if not isinstance(found, dict) or not isinstance(found.get("epoch"), int):
        raise PictureError(
            f'{path}:{number}: expected an object with "epoch", as graphcnn train logs'
        )
    return {
        name: float("nan" if value is None else value)
        for name, value in found.items()
        if value is None or isinstance(value, int | float)
    }


def read_monitor(run: Path) -> str | None:
    """What a run chooses its best epoch by, where its configuration says so."""
    try:
        config = json.loads((run / recipe_history.CONFIG).read_text(encoding="utf-8"))
        monitor = config["train"]["monitor"]
    except (OSError, ValueError, RecursionError, LookupError, TypeError):
        return None
    return monitor if isinstance(monitor, str) else None


def best_epoch(history: History, monitor: str | None = None) -> int | None:
    """The index of the epoch whose weights a run keeps as its best.

    Args:
        history: What `read_history` returns.
        monitor: What to go by; the validation accuracy, or else the validation loss, if None.

    Returns:
        None where the history does not have it.
    """
    if monitor is None and not any(name.startswith("val_") for name in history):
        return None
    records = [dict(zip(history, row, strict=True)) for row in zip(*history.values(), strict=True)]
    try:
        return recipe_history.best_epoch(records, monitor) - 1
    except TrainingError:
        return None


@styled
def draw_history(history: History, title: str, best: int | None) -> Figure:
    """Loss, and accuracy where there is one, over the epochs, in training and validation.

    Args:
        history: What `read_history` returns.
        title: What the picture is called.
        best: The index of the epoch to mark, if any.

    Raises:
        PictureError: There is no loss.
    """
    from matplotlib.figure import Figure

    if "loss" not in history:
        raise PictureError("the log has no loss", hint=f"it has: {', '.join(sorted(history))}")
    names = ["loss", "accuracy"] if "accuracy" in history else ["loss"]
    width = 4.4 * len(names)
    figure = Figure(figsize=(width, 3.4), layout="constrained")
    title, size = fitted(title, width)
    figure.suptitle(title, fontsize=size)
    for name, axes in zip(names, figure.subplots(1, len(names), squeeze=False)[0], strict=True):
        _draw_panel(axes, history, name, best)
    return figure


def _draw_panel(axes: Axes, history: History, name: str, best: int | None) -> None:
    from matplotlib.ticker import MaxNLocator

    epochs = history["epoch"]
    marked = len(epochs) <= _MARKED
    curves: list[tuple[str, str, dict[str, Any]]] = [
        ("training", name, {"color": _TRAINING, "marker": "o"}),
        ("validation", f"val_{name}", {"color": _VALIDATION, "marker": "s", "linestyle": "--"}),
    ]
    for label, key, look in curves:
        if key in history:
            look["marker"] = look["marker"] if marked else None
            axes.plot(epochs, history[key], label=label, markersize=4, linewidth=1.5, **look)
    if best is not None:
        value = history.get(f"val_{name}", history[name])[best]
        label = f"best epoch, {epochs[best]:.0f}: {value:.4g}"
        look = {"color": _BEST, "markersize": 13, "markerfacecolor": "none", "linestyle": "none"}
        axes.plot(epochs[best], value, marker="o", label=label, **look)
    axes.set(xlabel="epoch", ylabel=name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlim(min(epochs) - 0.5, max(epochs) + 0.5)
    axes.grid(color="#e4e6ea", linewidth=0.7)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=3, fontsize=8)
