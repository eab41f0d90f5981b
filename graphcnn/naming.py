"""How names are made: from an operator's title, and so that no two are the same."""

from __future__ import annotations

import re
from collections.abc import Container


def snake_case(title: str) -> str:
    """``MaxPooling2D`` as Keras names such a layer: ``max_pooling2d``."""
    words = re.sub(r"(?<=.)(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])", "_", title)
    return words.lower()


def unused_name(stem: str, taken: Container[str], counts: dict[str, int], first: int = 1) -> str:
    """The stem itself, or with the first number that makes it a new name.

    Args:
        stem: What the name begins with.
        taken: The names there are.
        counts: The last number given to each stem, so that those below it are not tried again.
        first: The number to begin with.
    """
    if stem not in taken:
        return stem
    count = counts.get(stem, first)
    while f"{stem}_{count}" in taken:
        count += 1
    counts[stem] = count
    return f"{stem}_{count}"
