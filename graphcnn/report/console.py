"""Where tables are printed: coloured on a terminal, plain and never cut elsewhere.

Names in them may be anyone's text: they are no markup, and ``:100:`` in a place is no emoji.
"""

from __future__ import annotations

import sys
from collections.abc import Container, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

_WIDEST = 10_000
"""The columns where there is no terminal: more than any table has."""

_NAME = 16
"""Of the words in columns to the left those that are longer than this are folded too."""

_BETWEEN = 3
"""The spaces between two columns."""


class _Table(Table):
    """A table that folds texts and headers, but no number; too wide for that, it is lines of pairs.

    rich by itself makes columns narrower than the words in them, and cuts what does not fold.
    """

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        sizes = [
            [console.measure(cell) for cell in column.cells] or [Measurement(0, 0)]
            for column in self.columns
        ]
        heads = [cell_len(str(column.header)) for column in self.columns]
        words = [
            min(max(size.minimum for size in found), _NAME if column.justify == "left" else _WIDEST)
            for column, found in zip(self.columns, sizes, strict=True)
        ]
        whole = [max(size.maximum for size in column) for column in sizes]
        least, most = list(map(max, words, heads)), list(map(max, whole, heads))
        room = options.max_width - _BETWEEN * (len(heads) - 1)
        if sum(words) <= room:
            least = least if sum(least) <= room else words
            for column, width in zip(self.columns, _shared(room, least, most), strict=True):
                column.width = width
            yield from super().__rich_console__(console, options)
            return
        for row, cells in zip(
            self.rows, zip(*(c.cells for c in self.columns), strict=True), strict=True
        ):
            texts = [cell.plain if isinstance(cell, Text) else str(cell) for cell in cells]
            pairs = zip(self.columns[1:], texts[1:], strict=True)
            said = [f"{column.header} {text}".strip() for column, text in pairs if text]
            yield Text(": ".join(filter(None, [texts[0], ", ".join(said)])), style=row.style or "")


def _shared(room: int, least: Sequence[int], most: Sequence[int]) -> list[int]:
    """Widths within the room: what is left is given to those that lack most."""
    widths = list(least)
    for _ in range(min(room, sum(most)) - sum(least)):
        widths[max(range(len(widths)), key=lambda at: most[at] - widths[at])] += 1
    return widths


def plain_table(columns: Sequence[str] = (), left: Container[str] = ()) -> Table:
    """A table without a frame, whose columns are numbers but for those to the left.

    On a narrow terminal it folds headers and texts, but no number.
    """
    table = _Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, justify="left" if name in left else "right", overflow="fold")
    return table


def show(renderable: RenderableType, *, stderr: bool = False) -> None:
    """Print a rich renderable to standard output, or to standard error."""
    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    width = None if terminal else _WIDEST
    plain: dict[str, Any] = {"markup": False, "emoji": False, "highlight": False}
    console = Console(width=width, soft_wrap=not terminal, stderr=stderr, **plain)
    console.print(renderable, crop=False)
