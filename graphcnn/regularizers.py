"""Penalties on weights while a model is trained, with Keras's names, arguments and defaults.

They are added to the loss; the compiled file is the same with and without them. The classes are
called what Keras calls them. Source: `keras.regularizers`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from .errors import OptionError
from .options import Options, choose

Factor = Annotated[float, Meta(ge=0)]


class Regularizer(Options):
    """The base of all regularizers: a name in the model file, and factors."""

    @classmethod
    def decode(cls, value: Any) -> Regularizer:
        """Read ``l2`` or ``{l2: 0.001}`` or ``{l1_l2: {l1: 0.01, l2: 0.001}}``."""
        return choose(value, REGULARIZERS, "regularizer", "l2, or {l2: 0.001}")


@dataclass(frozen=True, kw_only=True)
class L1(Regularizer):
    """``l1 * sum(abs(w))``."""

    short: ClassVar[str | None] = "l1"
    l1: Factor = 0.01


@dataclass(frozen=True, kw_only=True)
class L2(Regularizer):
    """``l2 * sum(w ** 2)``."""

    short: ClassVar[str | None] = "l2"
    l2: Factor = 0.01


@dataclass(frozen=True, kw_only=True)
class L1L2(Regularizer):
    """``l1 * sum(abs(w)) + l2 * sum(w ** 2)``."""

    l1: Factor = 0.0
    l2: Factor = 0.0

    def check(self) -> None:
        """One of the two is above zero: their defaults, which are Keras's, penalize nothing."""
        if self.l1 == self.l2 == 0:
            raise OptionError(
                "l1_l2 needs a factor", hint="for example: {l1_l2: {l1: 0.001, l2: 0.01}}"
            )


REGULARIZERS: dict[str, type[Regularizer]] = {"l1": L1, "l2": L2, "l1_l2": L1L2}
"""Every regularizer by its name in the model file."""
