"""Where tables are printed: coloured on a terminal, plain and never cut elsewhere.

Names in them may be anyone's text: they are no markup, and ``:100:`` in a place is no emoji.
"""

from __future__ import annotations

import sys
from collections.abc import Container, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.table import Table


def plain_table(columns: Sequence[str] = (), left: Container[str] = ()) -> Table:
    """A table without a frame, whose columns are numbers but for those to the left."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, justify="left" if name in left else "right", overflow="fold")
    return table


def show(renderable: RenderableType, *, stderr: bool = False) -> None:
    """Print a rich renderable to standard output, or to standard error."""
    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    width = None if terminal else 10_000
    plain: dict[str, Any] = {"markup": False, "emoji": False, "highlight": False}
    console = Console(width=width, soft_wrap=not terminal, stderr=stderr, **plain)
    console.print(renderable, crop=False)
