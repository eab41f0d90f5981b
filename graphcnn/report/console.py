"""Where tables are printed: coloured on a terminal, plain and never cut elsewhere.

Names in them may be anyone's text: they are no markup, and ``:100:`` in a place is no emoji.
"""

from __future__ import annotations

import sys
from typing import Any


def show(renderable: Any, *, stderr: bool = False) -> None:
    """Print a rich renderable to standard output, or to standard error."""
    from rich.console import Console

    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    width = None if terminal else 10_000
    plain: dict[str, Any] = {"markup": False, "emoji": False, "highlight": False}
    console = Console(width=width, soft_wrap=not terminal, stderr=stderr, **plain)
    console.print(renderable, crop=False)
