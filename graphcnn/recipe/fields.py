"""Hints of fields whose values are of no single class: read piece by piece, each with its place.

msgspec hands a value for a class that it does not know to the class's `decode`, and wants an
instance back. The classes here stand for values that exist already, such as a number or a tuple:
what counts as an instance is a question of their own.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any, ClassVar, TypeGuard

from msgspec import Meta

from graphcnn.errors import ErrorGroup, GraphCNNError, OptionError
from graphcnn.options import shorten

NonNegative = Annotated[float, Meta(ge=0)]
Positive = Annotated[float, Meta(gt=0)]
MOST_ITEMS = 64
"""A list of more things is a mistake, and one of a million errors is of no use."""

Share = Annotated[float, Meta(ge=0, le=1)]
"""A part of a whole, or a probability."""


class Field(type):
    """The class of a hint: `holds` tells which values are made already."""

    def __instancecheck__(cls, value: object) -> bool:
        return bool(cls.holds(value))  # type: ignore[attr-defined]  # each hint has its own


class ListOf(metaclass=Field):
    """A list of things that are chosen by name; it becomes a tuple.

    Attributes:
        kind: The hint of one of them.
    """

    kind: ClassVar[Any]

    @classmethod
    def holds(cls, value: object) -> bool:
        """Whether it is a tuple of such things."""
        return isinstance(value, tuple) and all(isinstance(item, cls.kind) for item in value)

    @classmethod
    def decode(cls, value: Any) -> tuple[Any, ...]:
        """Read them one by one.

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
                items.append(item if isinstance(item, cls.kind) else cls.kind.decode(item))
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
