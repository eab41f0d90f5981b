"""How names are made: from an operator's title, and so that no two are the same."""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Any

from .errors import OptionError


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


def keras_name(name: str) -> str:
    """The name of the Keras layer for a node: without the slash, which Keras refuses."""
    return name.replace("/", "__")


def class_names(value: Any) -> tuple[str, ...]:
    """Names for the classes that a network tells apart, in the order of its scores.

    Raises:
        OptionError: They are not a list of printable texts, each given once.
    """
    if not isinstance(value, list | tuple) or not value:
        raise OptionError("expected a list of class names", hint="for example: [cat, dog]")
    seen: set[str] = set()
    for index, name in enumerate(value):
        if not isinstance(name, str) or not name.isprintable() or not name.strip():
            hint = f"quote it: '{name}'" if isinstance(name, int | float) else None
            raise OptionError(
                f"expected class names that can be printed, found {name!r:.60}",
                path=(index,),
                hint=hint,
            )
        if name in seen:
            raise OptionError(f"the class {name!r:.60} is named twice", path=(index,))
        seen.add(name)
    return tuple(value)
