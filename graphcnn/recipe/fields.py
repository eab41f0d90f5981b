"""What the fields of a recipe have in common: bounds of numbers, and lists read item by item."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Any, TypeGuard

from msgspec import Meta

from graphcnn.errors import ErrorGroup, GraphCNNError, OptionError
from graphcnn.options import shorten

NonNegative = Annotated[float, Meta(ge=0)]
Positive = Annotated[float, Meta(gt=0)]
MOST_ITEMS = 64
"""A list of more things is a mistake, and one of a million errors is of no use."""

Share = Annotated[float, Meta(ge=0, le=1)]
"""A part of a whole, or a probability."""


def read_list(
    value: Any, made: tuple[type[Any], ...], read: Callable[[Any], Any]
) -> tuple[Any, ...]:
    """Read a list of things that are chosen by name, each with its place.

    Args:
        value: What a user wrote, or what was read before.
        made: The classes of things that are there already.
        read: Reads one of them.

    Raises:
        OptionError: It is no list, or one of more than `MOST_ITEMS`.
        ErrorGroup: What is wrong in each.
    """
    if not isinstance(value, list | tuple):
        raise OptionError(f"expected a list, found {shorten(value)}")
    if len(value) > MOST_ITEMS:
        raise OptionError(f"expected at most {MOST_ITEMS}, found {len(value):,}")
    items: list[Any] = []
    errors: list[GraphCNNError] = []
    for index, item in enumerate(value):
        try:
            items.append(item if isinstance(item, made) else read(item))
        except GraphCNNError as error:
            errors += under(index, error)
    if errors:
        raise ErrorGroup(errors)
    return tuple(items)


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a number that a float can hold: none is endless, and none is a truth value."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) <= sys.float_info.max
    )


def under(step: str | int, error: GraphCNNError) -> list[OptionError]:
    """The errors of an item or a key, with the path from what holds it."""
    return [
        OptionError(one.message, path=(step, *getattr(one, "path", ())), hint=one.hint)
        for one in error.errors
    ]
