"""Numbers and shapes in words, shared by tables, markdown and messages."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from graphcnn.options import field_values, shorten
from graphcnn.passes import ReceptiveField
from graphcnn.runtime.settings import Settings
from graphcnn.types import Dim


def count(value: Dim | None) -> str:
    """An integer with thousands separated; an expression as it is; nothing as a dash."""
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else str(value)


def plain(value: Dim | None) -> int | str | None:
    """A size as a JSON value: an expression is text."""
    return value if value is None or isinstance(value, int) else str(value)


def size_in_bytes(value: Dim | None) -> str:
    """A number of bytes in the largest binary unit that it fills."""
    if value is None or not isinstance(value, int):
        return count(value)
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if value >= scale:
            return f"{value / scale:.1f} {unit}"
    return f"{value} B"


def shape(sizes: Sequence[Dim | None]) -> str:
    """A shape as Keras prints it."""
    return f"({', '.join(str(size) for size in sizes)})"


def number(value: Fraction) -> int | float:
    """A fraction as an integer where it is one."""
    return int(value) if value.denominator == 1 else float(value)


def field(value: ReceptiveField | None) -> str:
    """A receptive field's size and stride, such as ``7x7 /2``."""
    if value is None:
        return "-"
    sizes = "x".join(str(size) for size in value.size)
    if value.stride is None:
        return f"{sizes} (all)"
    strides = sorted({number(stride) for stride in value.stride})
    return f"{sizes} /{'x'.join(f'{stride:g}' for stride in strides)}"


def tuned(settings: Settings) -> str:
    """The settings of a ``deploy.json`` that were applied, as they are written there."""
    spelled = (
        f"{key}={value if isinstance(value, str) else shorten(value)}"
        for key, value in field_values(settings).items()
    )
    return f"settings of deploy.json: {', '.join(spelled)}"


def seconds(value: float) -> str:
    """A time in the largest of seconds, milliseconds and microseconds that it fills."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}" if value < 1000 * scale else f"{value:,.0f} s"
    return f"{value * 1e6:.3g} µs"


def printable(text: str) -> str:
    """A name from a file without what a terminal would take for a command."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
