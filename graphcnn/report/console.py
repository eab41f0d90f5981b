"""Where tables are printed: coloured on a terminal, plain and never cut elsewhere."""

from __future__ import annotations

import sys
from typing import Any


def show(renderable: Any) -> None:
    """Print a rich renderable to standard output."""
    from rich.console import Console

    terminal = sys.stdout.isatty()
    Console(width=None if terminal else 10_000, soft_wrap=not terminal, highlight=False).print(
        renderable, crop=False
    )
