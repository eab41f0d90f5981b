"""What all pictures share: matplotlib without a display, colours, tiles, and files."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ParamSpec

import numpy as np

from graphcnn.errors import ExportError, MissingExtra, PictureError
from graphcnn.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = ParamSpec("P")
Array = np.ndarray[Any, Any]

ENDINGS = (".png", ".svg")

RIGHT, WRONG, PLAIN, QUIET = "#1f5fbf", "#c8321e", "#b8bcc4", "#555b66"
"""Blue and red that are told apart without seeing red, and greys for bars and for small print."""

_MOST_INCHES = 400.0
"""A taller figure would pass the 65,536 pixels that matplotlib can draw."""

IMAGE_CHANNELS = (1, 3, 4)

_DPI = 150

_EM = 0.64
"""How wide a letter is, on average and with some room, in parts of its size."""

_TITLE_SIZES = (6.0, 11.0)
"""The smallest and the largest size of a title in points."""

_TILE_PIXELS = 32
"""Smaller pictures are enlarged to this, so that what lies between them can be narrow."""

_STYLE: dict[str, Any] = {
    "figure.dpi": _DPI,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.fonttype": "path",
    "svg.hashsalt": "graphcnn",
    "text.parse_math": False,
}
"""One look for all, whatever a matplotlibrc says. A dollar sign in a name is no mathematics."""


def load_matplotlib() -> ModuleType:
    """Import matplotlib.

    Raises:
        MissingExtra: It is not installed.
    """
    try:
        import matplotlib
    except ImportError:
        raise MissingExtra("matplotlib", "plot") from None
    return matplotlib


def check_ending(path: Path) -> None:
    """Refuse a picture of another kind than PNG and SVG.

    Raises:
        ExportError: The file's name ends otherwise.
    """
    if path.suffix.lower() not in ENDINGS:
        raise ExportError(
            f"{path}: unknown kind of picture {path.suffix or '(no ending)'!r}",
            hint=f"one of: {', '.join(ENDINGS)}",
        )


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Make what a function draws look like all pictures do."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with _style():
            return draw(*args, **kwargs)

    return drawn


def _style() -> AbstractContextManager[None]:
    load_matplotlib()
    from matplotlib import style

    return style.context(["default", _STYLE])


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG or SVG, by the file's ending, whole or not at all.

    The same figure gives the same bytes.

    Raises:
        ExportError: The ending is another, or the file cannot be written.
    """
    check_ending(path)
    kind = path.suffix.lower().removeprefix(".")
    stamp = {"Date": None} if kind == "svg" else {"Software": None}
    with _style(), warnings.catch_warnings(), replacing(path) as partial:
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # A box stands for it.
        figure.savefig(partial, format=kind, dpi=_DPI, metadata=stamp)


def fitted(title: str, width: float) -> tuple[str, float]:
    """A title that fits a width in inches, cut where it must be, and its size in points."""
    points = 72 * width / _EM
    most = int(points / _TITLE_SIZES[0])
    if len(title) > most:
        title = f"…{title[1 - most :]}"
    return title, min(_TITLE_SIZES[1], points / max(len(title), 1))


class Sheet:
    """A figure whose parts are placed in inches from its top left corner, under a title.

    Args:
        width: In inches.
        height: In inches, the title not counted.
        title: What the picture is called.
        note: A line of small print under it.

    Attributes:
        figure: What is drawn on.

    Raises:
        PictureError: It is too high to be drawn.
    """

    def __init__(self, width: float, height: float, title: str, note: str = "") -> None:
        from matplotlib.figure import Figure

        self._head = 0.6 if note else 0.45
        self._width, self._height = width, height + self._head
        if self._height > _MOST_INCHES:
            raise PictureError(
                f"the picture would be {self._height:,.0f} inches high, "
                f"and {_MOST_INCHES:,.0f} can be drawn",
                hint="draw less in one picture",
            )
        self.figure = Figure(figsize=(self._width, self._height))
        look: dict[str, Any] = {"ha": "center", "va": "center"}
        title, size = fitted(title, width)
        self.text(width / 2, 0.2 - self._head, title, **look, fontsize=size)
        if note:
            self.text(width / 2, 0.42 - self._head, note, **look, fontsize=8, color=QUIET)

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes at a place, of a size."""
        bottom = self._height - self._head - top - height
        across, up = self._width, self._height
        return self.figure.add_axes((left / across, bottom / up, width / across, height / up))

    def text(self, left: float, top: float, text: str, **look: Any) -> None:
        """A line of text at a place."""
        x, y = left / self._width, 1 - (top + self._head) / self._height
        self.figure.text(x, y, text, **look)


def as_images(x: Array) -> Array:
    """Samples as pictures.

    Args:
        x: [samples, height, width, channels] with 1, 3 or 4 channels. uint8 is taken for 0 to 255,
            other numbers are stretched from the lowest to the highest of all.

    Returns:
        float32[samples, height, width, channels] from 0 to 1; a single channel has no axis.

    Raises:
        PictureError: They are no images.
    """
    if x.ndim != 4 or x.shape[-1] not in IMAGE_CHANNELS:
        raise PictureError(
            f"samples of {'x'.join(map(str, x.shape[1:]))} numbers are no pictures",
            hint="pictures are of height x width x channels, with 1, 3 or 4 channels",
        )
    images = x.astype(np.float32) / 255 if x.dtype == np.uint8 else stretched(x, (0, 1, 2, 3))
    return images[..., 0] if x.shape[-1] == 1 else images


def mosaic(tiles: Array, columns: int) -> Array:
    """Pictures of one size side by side, small ones enlarged.

    Args:
        tiles: The pictures, float[tiles, height, width, ...].
        columns: How many are in a row.

    Returns:
        One picture, float32[height, width, ...]; what lies between them, and places that are left
        over, are NaN.
    """
    factor = -(-_TILE_PIXELS // max(tiles.shape[1:3]))
    tiles = tiles.repeat(factor, axis=1).repeat(factor, axis=2)
    count, height, width = tiles.shape[:3]
    gap = -(-max(height, width) // 16)
    rows = -(-count // columns)
    size = (rows * (height + gap) - gap, columns * (width + gap) - gap)
    picture = np.full((*size, *tiles.shape[3:]), np.nan, np.float32)
    for index, tile in enumerate(tiles):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        picture[top : top + height, left : left + width] = tile
    return picture


def stretched(values: Array, axes: tuple[int, ...]) -> Array:
    """Values from 0, the lowest, to 1, the highest, along some axes; 0 where all are the same.

    Args:
        values: Numbers; those that are not finite become NaN.
        axes: The axes that are stretched together.
    """
    found = np.where(np.isfinite(values), values, np.nan).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # All NaN: stays NaN.
        low = np.nanmin(found, axis=axes, keepdims=True)
        span = np.nanmax(found, axis=axes, keepdims=True) - low
    return np.asarray((found - low) / np.where(span > 0, span, 1))
