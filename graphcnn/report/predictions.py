"""Pictures of predictions: samples beside their probabilities, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from graphcnn.scoring import Classification

from .figure import PLAIN, RIGHT, WRONG, Array, Sheet, as_images, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_BARS = 10
"""With more classes than this only the likeliest get a bar, and the true one."""

_LIKELIEST = 5

_LONGEST_NAME = 16
"""Letters of a class's name; of a longer one the middle is left out."""

_MOST_COUNTS = 25
"""With more classes than this no counts are written into the confusion matrix."""

_MOST_NAMES = 110
"""With more classes than this only some of their numbers stand at the confusion matrix."""


_COLUMNS = 3
_HEIGHT, _TOP, _LEFT, _BETWEEN = 2.2, 0.22, 0.15, 0.4
_PICTURE, _CHART = (1.5, 1.5), (1.35, 1.5)
_LETTER = 0.07
"""Where what belongs to a sample lies in its cell, in inches."""

_TRUE = "#ffedb3"
_KEY = "✓ blue: right    ✗ red: wrong    the true class is bold, on yellow"


@styled
def draw_predictions(
    x: Array, probabilities: Array, labels: Array, classes: Sequence[str], title: str
) -> Figure:
    """Samples in a grid, each with what is predicted, and its probabilities beside it.

    What is right is blue and has a tick, what is wrong is red and has a cross; the true class is
    set in bold on yellow.

    Args:
        x: The samples, [samples, height, width, channels].
        probabilities: float[samples, classes].
        labels: The true classes, int[samples].
        classes: Their names.
        title: What the picture is called.

    Raises:
        PictureError: The samples are no images, or too many for one picture.
    """
    images = as_images(x)
    columns = min(_COLUMNS, len(images))
    names = [_cut(name) for name in classes]
    chart_left = _LEFT + _PICTURE[0] + 0.2 + _LETTER * max(map(len, names))
    width = chart_left + _CHART[0] + _BETWEEN
    sheet = Sheet(width * columns, _HEIGHT * -(-len(images) // columns), title, _KEY)
    for index, image in enumerate(images):
        left, top = width * (index % columns), _HEIGHT * (index // columns) + _TOP
        row, label = probabilities[index], int(labels[index])
        _draw_sample(sheet.axes(left + _LEFT, top, *_PICTURE), image, row, label, names)
        _draw_bars(sheet.axes(left + chart_left, top, *_CHART), row, label, names)
    return sheet.figure


def _draw_sample(axes: Axes, image: Array, row: Array, label: int, names: Sequence[str]) -> None:
    predicted = int(row.argmax())
    right = predicted == label
    axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    text = f"{'✓' if right else '✗'} {names[predicted]} ({row[predicted]:.0%})"
    axes.set_title(text, color=RIGHT if right else WRONG, fontsize=9, pad=4)
    axes.set_xlabel(f"true: {names[label]}", fontsize=8, labelpad=4)


def _draw_bars(axes: Axes, row: Array, label: int, names: Sequence[str]) -> None:
    """The probabilities of all classes in their order, or of the likeliest."""
    shown = list(range(len(row)))
    if len(row) > _MOST_BARS:
        shown = np.argsort(-row, kind="stable")[:_LIKELIEST].tolist()
        shown += [label] if label not in shown else []
    predicted, place = int(row.argmax()), shown.index(label)
    look = RIGHT if predicted == label else WRONG
    colours = [look if index == predicted else PLAIN for index in shown]
    places = range(len(shown))
    axes.axhspan(place - 0.5, place + 0.5, color=_TRUE, linewidth=0)
    axes.barh(places, row[shown], color=colours, height=0.72)
    axes.set_yticks(places, [names[index] for index in shown], fontsize=7)
    axes.set_ylim(max(len(shown), _LIKELIEST) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"], fontsize=7)
    axes.set_xlabel("probability", fontsize=7, labelpad=1)
    axes.tick_params(length=2, pad=2)
    axes.get_yticklabels()[place].set_fontweight("bold")


@styled
def draw_confusion(evaluation: Classification, title: str) -> Figure:
    """The confusion matrix: colours are shares of the true class, the numbers count samples.

    Args:
        evaluation: How well scores tell classes apart.
        title: What the picture is called.
    """
    count = len(evaluation.classes)
    side = float(np.clip(0.42 * count, 3.0, 14.0))
    size = max(9.0, side)
    ticks = range(0, count, 1 if count <= _MOST_NAMES else -(-count // 50))
    names = [_cut(evaluation.classes[tick]) for tick in ticks]
    letters = min(9.0, 72 * side / len(names) * 0.8)
    longest = max(map(len, names))
    upright = longest <= 3 and len(names) <= _MOST_COUNTS
    room = 0.25 + (longest * letters * 0.65 + size * 1.5) / 72
    below = 0.25 + (letters + size * 1.5) / 72 if upright else room
    sheet = Sheet(room + side + 1.3, side + below + 0.1, title)
    axes = sheet.axes(room, 0, side, side)
    _draw_matrix(axes, evaluation)
    axes.set_xticks(ticks, names, fontsize=letters, rotation=0 if upright else 90)
    axes.set_yticks(ticks, names, fontsize=letters)
    axes.set_xlabel("predicted class", fontsize=size)
    axes.set_ylabel("true class", fontsize=size)
    scale = sheet.axes(room + side + 0.2, 0, 0.15, side)
    bar = sheet.figure.colorbar(axes.images[0], cax=scale)
    bar.set_label("share of the true class", fontsize=size)
    scale.spines[:].set_visible(False)
    return sheet.figure


def _draw_matrix(axes: Axes, evaluation: Classification) -> None:
    from matplotlib.colors import PowerNorm

    counts = evaluation.confusion
    written = len(counts) <= _MOST_COUNTS
    shares = counts / np.maximum(evaluation.support, 1)[:, None]
    # Where no counts are written, the square root lets rare confusions be seen.
    norm = PowerNorm(1 if written else 0.5, vmin=0, vmax=1)
    axes.imshow(shares, cmap="Blues", norm=norm, interpolation="nearest")
    axes.spines[:].set_visible(False)
    size = 8 if counts.max() < 10_000 else 6
    for (true, predicted), samples in np.ndenumerate(counts) if written else ():
        colour = "white" if shares[true, predicted] > 0.5 else "black" if samples else PLAIN
        place = {"ha": "center", "va": "center"}
        axes.text(predicted, true, f"{samples}", None, color=colour, fontsize=size, **place)


def _cut(name: str) -> str:
    half = _LONGEST_NAME // 2
    return name if len(name) <= _LONGEST_NAME else f"{name[: half - 1]}…{name[-half:]}"
